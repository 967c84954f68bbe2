//! Reads SQL text: its operation and table, and the text without literals. Not a parser: it splits the text
//! into tokens, so it never fails, and what it does not understand has no table.

use std::ops::Range;

/// How a database writes strings and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `"name"`, `'string'`, `E'str\'ing'`, `$$string$$`: PostgreSQL and SQLite.
    Standard,
    /// `` `name` ``, `"string"`, and a backslash escapes: MySQL.
    MySql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Comment,
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes.
    Quoted,
    /// A string or a number.
    Literal,
    /// `$1`, `?`, `:name`.
    Placeholder,
    Symbol(u8),
}

/// The operation of a text, in upper case, and its first table; both as they are in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) operation: &'static str,
    pub(super) table: Option<&'a str>,
}

/// The first words of statements. They bound the values of `db.operation.name`.
const OPERATIONS: &str = "ALTER ANALYZE BEGIN CALL CLOSE COMMIT COPY CREATE DECLARE DELETE DO DROP END \
    EXECUTE EXPLAIN FETCH GRANT INSERT LISTEN LOCK MERGE NOTIFY PRAGMA REFRESH REINDEX RELEASE REPLACE \
    RESET REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW START TRUNCATE UNLISTEN UPDATE VACUUM VALUES";
/// `db.operation.name` of a statement with another first word.
const OTHER: &str = "_OTHER";
/// Words between a statement's keyword and its table.
const FILLERS: &str = "TABLE ONLY IF NOT EXISTS INTO OR IGNORE CONCURRENTLY";
/// The longest table's name, in bytes; a longer one is left out.
const MAX_TABLE_LEN: usize = 128;

/// The operation and the table of the first statement in the text.
pub(super) fn target(sql: &str, dialect: Dialect) -> Target<'_> {
    let words = significant(sql, dialect);
    let (at, operation) = operation(sql, &words);
    let table = match operation {
        "SELECT" | "DELETE" => after_from(sql, &words, at),
        "INSERT" | "REPLACE" | "MERGE" | "UPDATE" | "TRUNCATE" | "COPY" | "LOCK" => {
            table_from(sql, words.get(at + 1..).unwrap_or_default())
        }
        "CREATE" | "ALTER" | "DROP" if is(sql, words.get(at + 1), "TABLE") => {
            table_from(sql, words.get(at + 1..).unwrap_or_default())
        }
        _ => None,
    };
    Target { operation, table }
}

/// The text with `?` in place of literals, without comments, cut to `limit` bytes. Binds are not in it, but
/// text that a program formats may have values. `None` if the text is that already.
pub(super) fn without_literals(sql: &str, dialect: Dialect, limit: usize) -> Option<String> {
    let mut tokens = Tokens::new(sql, dialect);
    let is_clean = |(kind, _): (Kind, Range<usize>)| !matches!(kind, Kind::Literal | Kind::Comment);
    if sql.len() <= limit && tokens.all(is_clean) {
        return None;
    }
    let mut text = String::new();
    for (kind, range) in Tokens::new(sql, dialect) {
        let token = match kind {
            Kind::Literal => "?",
            Kind::Comment => "",
            _ => sql.get(range).unwrap_or_default(),
        };
        if text.len() + token.len() > limit {
            text.push_str("...");
            break;
        }
        text.push_str(token);
    }
    text.truncate(text.trim_end().len());
    Some(text)
}

type Token = (Kind, Range<usize>);

/// The tokens of the first statement, without spaces and comments.
fn significant(sql: &str, dialect: Dialect) -> Vec<Token> {
    Tokens::new(sql, dialect)
        .filter(|(kind, _)| !matches!(kind, Kind::Space | Kind::Comment))
        .take_while(|(kind, _)| *kind != Kind::Symbol(b';'))
        .collect()
}

fn text<'a>(sql: &'a str, (_, range): &Token) -> &'a str {
    sql.get(range.clone()).unwrap_or_default()
}

fn is(sql: &str, token: Option<&Token>, word: &str) -> bool {
    token.is_some_and(|token| token.0 == Kind::Word && text(sql, token).eq_ignore_ascii_case(word))
}

/// The position and the name of the operation. A `WITH` has the operation of the statement behind it.
fn operation(sql: &str, tokens: &[Token]) -> (usize, &'static str) {
    let known = |token: &Token| {
        let word = text(sql, token);
        let mut known = OPERATIONS.split(' ');
        known.find(|operation| token.0 == Kind::Word && operation.eq_ignore_ascii_case(word))
    };
    let Some(first) = tokens.iter().position(|(kind, _)| *kind != Kind::Symbol(b'(')) else {
        return (0, OTHER);
    };
    if !is(sql, tokens.get(first), "WITH") {
        return (first, tokens.get(first).and_then(known).unwrap_or(OTHER));
    }
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(first + 1) {
        match token.0 {
            Kind::Symbol(b'(') => depth += 1,
            Kind::Symbol(b')') => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 => {
                if let Some(operation) = known(token) {
                    return (at, operation);
                }
            }
            _ => {}
        }
    }
    (first, OTHER)
}

/// The table behind the outermost `FROM`. Those of functions, such as `extract(epoch from x)`, do not count.
fn after_from<'a>(sql: &'a str, tokens: &[Token], start: usize) -> Option<&'a str> {
    // Whether each open parenthesis contains a query.
    let mut open: Vec<bool> = Vec::new();
    let mut found: Option<(usize, &str)> = None;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.0 {
            Kind::Symbol(b'(') => open.push(is(sql, tokens.get(at + 1), "SELECT")),
            Kind::Symbol(b')') => {
                open.pop();
            }
            Kind::Word if is(sql, Some(token), "FROM") => {
                let is_distinct = at > 0 && is(sql, tokens.get(at - 1), "DISTINCT");
                let in_query = open.last().copied().unwrap_or(true);
                let is_outer = found.is_none_or(|(depth, _)| open.len() < depth);
                let table = table_from(sql, tokens.get(at + 1..).unwrap_or_default());
                if let (true, false, true, Some(table)) = (in_query, is_distinct, is_outer, table) {
                    found = Some((open.len(), table));
                }
            }
            _ => {}
        }
    }
    found.map(|(_, table)| table)
}

/// The name at the start of the tokens, with its schema: `public.orders`, `"shop"."orders"`.
fn table_from<'a>(sql: &'a str, tokens: &[Token]) -> Option<&'a str> {
    let is_filler = |token: &&Token| FILLERS.split(' ').any(|filler| is(sql, Some(*token), filler));
    let tokens = tokens.get(tokens.iter().take_while(is_filler).count()..)?;
    let is_name = |token: &Token| matches!(token.0, Kind::Word | Kind::Quoted);
    let (first, mut last) = (tokens.first().filter(|it| is_name(it))?, tokens.first()?);
    let mut rest = tokens.iter().skip(1);
    while let (Some((Kind::Symbol(b'.'), _)), Some(name)) = (rest.next(), rest.next()) {
        if !is_name(name) {
            break;
        }
        last = name;
    }
    let name = sql.get(first.1.start..last.1.end)?;
    (name.len() <= MAX_TABLE_LEN).then_some(name)
}

/// The tokens of a text, as their kinds and places. They cover it without gaps.
struct Tokens<'a> {
    sql: &'a str,
    dialect: Dialect,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(sql: &'a str, dialect: Dialect) -> Self {
        Self { sql, dialect, at: 0 }
    }

    /// The kind and the length of the token at the start of `rest`.
    fn next_of(&self, rest: &str) -> (Kind, usize) {
        let bytes = rest.as_bytes();
        let first = bytes.first().copied().unwrap_or_default();
        let second = bytes.get(1).copied().unwrap_or_default();
        let is_mysql = self.dialect == Dialect::MySql;
        match (first, second) {
            (b'-', b'-') => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            (b'#', _) if is_mysql => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            (b'/', b'*') => (Kind::Comment, comment_len(rest)),
            (b'\'', _) => (Kind::Literal, quoted_len(rest, b'\'', is_mysql)),
            (b'"', _) if is_mysql => (Kind::Literal, quoted_len(rest, b'"', true)),
            (b'"' | b'`', _) => (Kind::Quoted, quoted_len(rest, first, false)),
            // Strings with a prefix: escapes, bits, bytes, national characters.
            (b'e' | b'E', b'\'') => (Kind::Literal, 1 + quoted_len(tail(rest, 1), b'\'', true)),
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'') => {
                (Kind::Literal, 1 + quoted_len(tail(rest, 1), b'\'', is_mysql))
            }
            (b'$', b'0'..=b'9') => (Kind::Placeholder, 1 + run(tail(rest, 1), |c| c.is_ascii_digit())),
            (b'$', _) if !is_mysql => match dollar_quoted_len(rest) {
                Some(len) => (Kind::Literal, len),
                None => (Kind::Symbol(b'$'), 1),
            },
            (b'?', _) => (Kind::Placeholder, 1 + run(tail(rest, 1), |c| c.is_ascii_digit())),
            (b'0'..=b'9', _) | (b'.', b'0'..=b'9') => (Kind::Literal, number_len(bytes)),
            _ if first.is_ascii_whitespace() => (Kind::Space, run(rest, char::is_whitespace)),
            _ if is_of_name(rest.chars().next().unwrap_or_default()) => (Kind::Word, run(rest, is_of_name)),
            _ => (Kind::Symbol(first), 1),
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = self.sql.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (kind, len) = self.next_of(rest);
        let mut end = (self.at + len.max(1)).min(self.sql.len());
        // A character that is no token of its own may have several bytes.
        while !self.sql.is_char_boundary(end) {
            end += 1;
        }
        let range = self.at..end;
        self.at = end;
        Some((kind, range))
    }
}

fn tail(text: &str, from: usize) -> &str {
    text.get(from..).unwrap_or_default()
}

/// The length of the characters at the start that `is_in` accepts.
fn run(text: &str, is_in: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_in(c)).unwrap_or(text.len())
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// A number may have a fraction, an exponent with its sign, a base and separators: `1.5e-3`, `0xFF`, `1_000`.
fn number_len(bytes: &[u8]) -> usize {
    let mut previous = b'0';
    let is_of_number = |byte: &&u8| {
        let is_sign = matches!(byte, b'+' | b'-') && matches!(previous, b'e' | b'E');
        previous = **byte;
        is_sign || byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
    };
    bytes.iter().take_while(is_of_number).count()
}

/// A quote inside is doubled, or behind a backslash. Without an end it is the rest of the text.
fn quoted_len(text: &str, quote: u8, has_escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if has_escapes => 2,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    text.len()
}

/// `$$...$$` or `$tag$...$tag$`.
fn dollar_quoted_len(text: &str) -> Option<usize> {
    let tag_len = 2 + run(tail(text, 1), |c| c.is_alphanumeric() || c == '_');
    let tag = text.get(..tag_len).filter(|tag| tag.ends_with('$'))?;
    let end = tail(text, tag_len).find(tag);
    Some(end.map_or(text.len(), |end| tag_len + end + tag_len))
}

/// Comments nest in PostgreSQL.
fn comment_len(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1_usize);
    let bytes = text.as_bytes();
    while let (Some(first), second) = (bytes.get(at), bytes.get(at + 1)) {
        match (first, second) {
            (b'/', Some(b'*')) => (at, depth) = (at + 2, depth + 1),
            (b'*', Some(b'/')) if depth == 1 => return at + 2,
            (b'*', Some(b'/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_statement_has_its_operation_and_its_outermost_table() {
        for (sql, operation, table) in [
            (
                r#"SELECT "orders"."id" FROM "orders" WHERE id = $1"#,
                "SELECT",
                Some(r#""orders""#),
            ),
            ("select * from shop . orders o", "SELECT", Some("shop . orders")),
            (
                "SELECT extract(epoch FROM at), (SELECT 1 FROM a) FROM b",
                "SELECT",
                Some("b"),
            ),
            ("SELECT EXISTS (SELECT 1 FROM orders)", "SELECT", Some("orders")),
            (
                "SELECT x FROM (SELECT y FROM inner_table) AS t",
                "SELECT",
                Some("inner_table"),
            ),
            ("SELECT a IS DISTINCT FROM b FROM t", "SELECT", Some("t")),
            ("(SELECT a FROM t) UNION (SELECT a FROM u)", "SELECT", Some("t")),
            ("SELECT 1", "SELECT", None),
            (
                r#"INSERT INTO "orders" DEFAULT VALUES"#,
                "INSERT",
                Some(r#""orders""#),
            ),
            (
                "INSERT OR IGNORE INTO orders VALUES (?)",
                "INSERT",
                Some("orders"),
            ),
            ("UPDATE ONLY orders SET a = 1", "UPDATE", Some("orders")),
            ("/* why */ DELETE FROM orders -- 7", "DELETE", Some("orders")),
            (
                "WITH due AS (SELECT id FROM a) UPDATE orders SET b = 1 FROM due",
                "UPDATE",
                Some("orders"),
            ),
            (
                "with x as (delete from a returning 1) select * from x",
                "SELECT",
                Some("x"),
            ),
            (
                "CREATE TABLE IF NOT EXISTS orders (id int)",
                "CREATE",
                Some("orders"),
            ),
            ("CREATE INDEX i ON orders (id)", "CREATE", None),
            ("BEGIN; SELECT 1 FROM t", "BEGIN", None),
            ("SAVEPOINT diesel_savepoint_1", "SAVEPOINT", None),
            ("whatever this is", "_OTHER", None),
            ("", "_OTHER", None),
        ] {
            assert_eq!(
                target(sql, Dialect::Standard),
                Target { operation, table },
                "{sql}"
            );
        }
        let mysql = target("REPLACE INTO `shop`.`orders` VALUES (?)", Dialect::MySql);
        assert_eq!(mysql.table, Some("`shop`.`orders`"));
    }

    #[test]
    fn literals_are_replaced_and_placeholders_stay() {
        let shown = |sql, dialect| without_literals(sql, dialect, 2048);
        for (sql, expected) in [
            (
                "SELECT 'joe''s', E'a\\'b', 7 FROM t1 WHERE x = $1",
                "SELECT ?, ?, ? FROM t1 WHERE x = $1",
            ),
            ("SET a = $$joe$$, b = $x$ $$ $x$ /* why */", "SET a = ?, b = ?"),
            (
                "WHERE a > 1.5e-3 AND b = .5 AND c=0xFF -- joe",
                "WHERE a > ? AND b = ? AND c=?",
            ),
            ("WHERE a = 'never closed", "WHERE a = ?"),
            ("WHERE \"a1\" = X'00'", "WHERE \"a1\" = ?"),
        ] {
            assert_eq!(shown(sql, Dialect::Standard).as_deref(), Some(expected));
        }
        let mysql = r#"WHERE `a` = "joe" AND b = 'it\'s joe' # joe"#;
        assert_eq!(
            shown(mysql, Dialect::MySql).as_deref(),
            Some("WHERE `a` = ? AND b = ?")
        );
        assert_eq!(
            shown("SELECT a1 FROM t WHERE b = ?1 AND c = $2", Dialect::Standard),
            None
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "SELECT \u{e4}, ".repeat(100);
        let cut = without_literals(&long, Dialect::Standard, 50).unwrap();
        assert!(cut.len() <= 53 && cut.ends_with("..."), "{cut}");
    }

    proptest! {
        #[test]
        fn any_text_is_covered_by_its_tokens(sql in r#"[a-zA-Z0-9 '"`$\\/*;.\-(){}äé\n?#:]{0,60}"#) {
            for dialect in [Dialect::Standard, Dialect::MySql] {
                let mut end = 0;
                for (_, range) in Tokens::new(&sql, dialect) {
                    prop_assert_eq!(range.start, end);
                    prop_assert!(range.end > range.start);
                    end = range.end;
                }
                prop_assert_eq!(end, sql.len());
                let _ = target(&sql, dialect);
                let shown = without_literals(&sql, dialect, 30).unwrap_or(sql.clone());
                // A name in quotes may contain an apostrophe.
                prop_assert!(sql.contains(['"', '`']) || !shown.contains('\''), "{}", shown);
            }
        }
    }
}
