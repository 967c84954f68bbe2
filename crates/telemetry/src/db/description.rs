//! What the span of a statement says, by the statement's text alone. The texts and tables of a program are
//! few: they are read once, and what exceeds the limits here is described without its table.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError, RwLock};

use opentelemetry::KeyValue;

use super::sql::{self, Dialect};
use crate::intern::intern;
use crate::masking::static_text;
use crate::names;

/// The largest number of texts that are remembered.
const MAX_TEXTS: usize = 1_000;
/// The longest text that is remembered, in bytes.
const MAX_REMEMBERED_LEN: usize = 8 << 10;
/// The largest number of summaries, which are values of a metric's attributes.
const MAX_SUMMARIES: usize = 300;
/// The longest `db.query.text`, in bytes.
const MAX_TEXT_LEN: usize = 2_048;

/// The description of a statement.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) summary: Summary,
    /// Without literals; `'static` if it is remembered.
    pub(super) text: Cow<'static, str>,
}

/// Operation and table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) operation: &'static str,
    pub(super) table: Option<&'static str>,
    /// The span's name.
    pub(super) name: &'static str,
}

impl Summary {
    /// The attributes of both the span and the metric.
    pub(super) fn attributes(self) -> impl Iterator<Item = KeyValue> {
        let operation = KeyValue::new(names::DB_OPERATION_NAME, self.operation);
        let table = self.table.map(|it| KeyValue::new(names::DB_COLLECTION_NAME, it));
        std::iter::once(operation).chain(table)
    }

    fn without_table(operation: &'static str) -> Self {
        Self {
            operation,
            table: None,
            name: operation,
        }
    }
}

/// The summaries so far.
#[derive(Debug)]
struct Summaries(Vec<Summary>);

impl Summaries {
    /// The summary of an operation and a table; if there are too many, without the table.
    fn of(&mut self, operation: &'static str, table: &str) -> Summary {
        let table = table.replace(['"', '`', ' '], "");
        let same = |it: &&Summary| it.operation == operation && it.table == Some(table.as_str());
        if let Some(known) = self.0.iter().find(same) {
            return *known;
        }
        if self.0.len() >= MAX_SUMMARIES {
            return Summary::without_table(operation);
        }
        let summary = Summary {
            operation,
            name: intern(format!("{operation} {table}")),
            table: Some(intern(table)),
        };
        self.0.push(summary);
        summary
    }
}

fn summary(sql: &str, dialect: Dialect) -> Summary {
    static SUMMARIES: Mutex<Summaries> = Mutex::new(Summaries(Vec::new()));
    let sql::Target { operation, table } = sql::target(sql, dialect);
    match table {
        Some(table) => SUMMARIES
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of(operation, table),
        None => Summary::without_table(operation),
    }
}

/// The descriptions of the texts without literals, which stay the same from run to run.
type Texts = RwLock<HashMap<Box<str>, (Summary, &'static str)>>;

/// Describes a statement.
pub(super) fn describe(sql: &str, dialect: Dialect) -> Description {
    static STANDARD: LazyLock<Texts> = LazyLock::new(Texts::default);
    static MYSQL: LazyLock<Texts> = LazyLock::new(Texts::default);
    let texts: &Texts = match dialect {
        Dialect::Standard => &STANDARD,
        Dialect::MySql => &MYSQL,
    };
    if let Some((summary, text)) = texts.read().unwrap_or_else(PoisonError::into_inner).get(sql) {
        return Description {
            summary: *summary,
            text: Cow::Borrowed(text),
        };
    }
    let summary = summary(sql, dialect);
    let shown = sql::without_literals(sql, dialect, MAX_TEXT_LEN);
    if shown.is_none() && sql.len() <= MAX_REMEMBERED_LEN {
        let mut texts = texts.write().unwrap_or_else(PoisonError::into_inner);
        if texts.len() < MAX_TEXTS {
            let (_, text) = texts
                .entry(sql.into())
                .or_insert_with(|| (summary, static_text(sql)));
            return Description {
                summary,
                text: Cow::Borrowed(text),
            };
        }
    }
    Description {
        summary,
        text: Cow::Owned(shown.unwrap_or_else(|| sql.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_literals_is_remembered() {
        let sql = r#"SELECT "parcels"."id" FROM "shop"."parcels" WHERE "id" = $1"#;
        for _ in 0..2 {
            let described = describe(sql, Dialect::Standard);
            assert_eq!(described.summary.name, "SELECT shop.parcels");
            assert_eq!(described.summary.table, Some("shop.parcels"));
            assert!(matches!(described.text, Cow::Borrowed(_)));
            assert_eq!(described.text, sql);
        }
        let formatted = describe("SELECT 1 FROM parcels WHERE name = 'joe'", Dialect::Standard);
        assert_eq!(formatted.text, "SELECT ? FROM parcels WHERE name = ?");
        assert!(matches!(formatted.text, Cow::Owned(_)));
    }

    #[test]
    fn more_tables_than_there_is_room_for_have_no_name() {
        let mut summaries = Summaries(Vec::new());
        let first = summaries.of("SELECT", "t0");
        for at in 0..MAX_SUMMARIES {
            assert!(summaries.of("SELECT", &format!("t{at}")).table.is_some());
        }
        let last = summaries.of("SELECT", "one_more");
        assert_eq!((last.name, last.table), ("SELECT", None));
        assert_eq!(summaries.of("SELECT", "\"t0\""), first);
    }
}
