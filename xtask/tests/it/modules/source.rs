//! Reads the modules of a crate: their children, their imports, and the paths in their code.
//!
//! It reads tokens rather than items, because the arguments of a macro hold paths as well.
//! `#[cfg(test)]` parts are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The sources of a crate: each file's path below `src`, and its text.
pub(super) type Files = BTreeMap<String, String>;
/// The names from the crate's root to a module; the root itself is empty.
pub(super) type ModulePath = Vec<String>;

#[derive(Default)]
pub(super) struct Module {
    pub(super) file: String,
    /// An inline `mod name { }` belongs to the module of its file.
    pub(super) inline: bool,
    pub(super) children: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    pub(super) paths: Vec<Path>,
}

pub(super) struct Import {
    /// The name that it brings into scope; `*` for a glob.
    pub(super) name: String,
    pub(super) path: Path,
    pub(super) reexported: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// Every module that the root declares, directly or through others.
pub(super) fn modules(files: &Files) -> BTreeMap<ModulePath, Module> {
    let root = ["lib.rs", "main.rs"]
        .into_iter()
        .find(|file| files.contains_key(*file));
    let mut reader = Reader {
        files,
        modules: BTreeMap::new(),
    };
    reader.file(&[], root.expect("lib.rs or main.rs"));
    reader.modules
}

struct Reader<'a> {
    files: &'a Files,
    modules: BTreeMap<ModulePath, Module>,
}

impl Reader<'_> {
    fn file(&mut self, path: &[String], file: &str) {
        let tokens =
            TokenStream::from_str(&self.files[file]).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.module(path, file, false, tokens);
    }

    fn module(&mut self, path: &[String], file: &str, inline: bool, tokens: TokenStream) {
        let mut module = Module {
            file: file.to_owned(),
            inline,
            ..Module::default()
        };
        let mut children = Vec::new();
        Scan {
            module: &mut module,
            children: &mut children,
        }
        .tokens(tokens);
        self.modules.insert(path.to_vec(), module);
        for (name, body) in children {
            let child = [path, std::slice::from_ref(&name)].concat();
            match body {
                Some(body) => self.module(&child, file, true, body),
                None => {
                    let stem = child.join("/");
                    let file = [format!("{stem}.rs"), format!("{stem}/mod.rs")]
                        .into_iter()
                        .find(|file| self.files.contains_key(file))
                        .unwrap_or_else(|| panic!("{stem}: no file"));
                    self.file(&child, &file);
                }
            }
        }
    }
}

/// A child's name, and its body where it is inline.
type Child = (String, Option<TokenStream>);

struct Scan<'a> {
    module: &'a mut Module,
    children: &'a mut Vec<Child>,
}

impl Scan<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut public = false;
        while let Some((first, after)) = rest.split_first() {
            let next = match first {
                TokenTree::Punct(hash) if hash.as_char() == '#' => self.attribute(after),
                TokenTree::Punct(_) if is_colons(rest) || is(first, ".") => skip_name(after),
                TokenTree::Ident(word) if word == "pub" => {
                    public = true;
                    rest = without_scope(after);
                    continue;
                }
                // In a type, `use<'a>` lists what it captures.
                TokenTree::Ident(word) if word == "use" && !matches!(after, [less, ..] if is(less, "<")) => {
                    self.import(after, public)
                }
                TokenTree::Ident(word) if word == "mod" => self.child(after),
                TokenTree::Ident(_) => self.path(rest),
                TokenTree::Group(group) => {
                    self.tokens(group.stream());
                    after
                }
                _ => after,
            };
            public = false;
            rest = next;
        }
    }

    /// After the `#`. An item that only tests see is skipped.
    fn attribute<'t>(&mut self, after: &'t [TokenTree]) -> &'t [TokenTree] {
        match after {
            [TokenTree::Group(group), rest @ ..] if is_test(group) => skip_item(rest),
            [TokenTree::Group(group), rest @ ..] => {
                self.tokens(group.stream());
                rest
            }
            _ => after,
        }
    }

    fn child<'t>(&mut self, after: &'t [TokenTree]) -> &'t [TokenTree] {
        let [TokenTree::Ident(name), body, rest @ ..] = after else {
            return after;
        };
        let body = match body {
            TokenTree::Group(group) => Some(group.stream()),
            _ => None,
        };
        self.module.children.insert(name.to_string());
        self.children.push((name.to_string(), body));
        rest
    }

    fn path<'t>(&mut self, tokens: &'t [TokenTree]) -> &'t [TokenTree] {
        let line = tokens[0].span().start().line;
        let (segments, rest) = segments(tokens);
        // `name: ...` is a field or a variable.
        let is_field = matches!(rest.first(), Some(token) if is(token, ":"));
        let path = Path { segments, line };
        if !path.segments.is_empty() && !is_field && !self.module.paths.contains(&path) {
            self.module.paths.push(path);
        }
        rest
    }

    fn import<'t>(&mut self, after: &'t [TokenTree], reexported: bool) -> &'t [TokenTree] {
        let end = after
            .iter()
            .position(|token| is(token, ";"))
            .expect("`;` after `use`");
        self.tree(&after[..end], &[], reexported);
        &after[end + 1..]
    }

    fn tree(&mut self, tokens: &[TokenTree], prefix: &[String], reexported: bool) {
        let Some(first) = tokens.first() else { return };
        let line = first.span().start().line;
        if is_colons(tokens) {
            // `::name` is another crate.
            return;
        }
        let (mut path, rest) = segments(tokens);
        path.splice(0..0, prefix.iter().cloned());
        let mut name = path.last().cloned().unwrap_or_default();
        match rest {
            [] => {}
            [TokenTree::Ident(_), TokenTree::Ident(alias)] => name = alias.to_string(),
            [.., TokenTree::Group(group)] => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                for tree in inner.split(|token| is(token, ",")) {
                    self.tree(tree, &path, reexported);
                }
                return;
            }
            [.., star] if is(star, "*") => name = "*".to_owned(),
            _ => panic!("line {line}: {rest:?} of a `use`"),
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
            if name == "self" {
                name = path.last().cloned().unwrap_or_default();
            }
        }
        let path = Path { segments: path, line };
        self.module.imports.push(Import {
            name,
            path,
            reexported,
        });
    }
}

/// The names of `a::b::c`, as far as they go.
fn segments(mut tokens: &[TokenTree]) -> (Vec<String>, &[TokenTree]) {
    let mut names = Vec::new();
    while let [TokenTree::Ident(name), rest @ ..] = tokens {
        if name == "as" && names.is_empty() {
            return (names, rest);
        }
        names.push(name.to_string());
        tokens = rest;
        match tokens {
            [_, _, after @ ..] if is_colons(tokens) && matches!(after.first(), Some(TokenTree::Ident(_))) => {
                tokens = after;
            }
            _ => break,
        }
    }
    (names, tokens)
}

/// `::`, at the front.
fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(one), TokenTree::Punct(two), ..]
        if one.as_char() == ':' && one.spacing() == proc_macro2::Spacing::Joint && two.as_char() == ':')
}

fn is(token: &TokenTree, text: &str) -> bool {
    matches!(token, TokenTree::Punct(_)) && token.to_string() == text
}

/// After `.`, or after the first colon of a `::` that does not continue a path: past a name that no import
/// explains.
fn skip_name(after: &[TokenTree]) -> &[TokenTree] {
    let after = match after {
        [colon, rest @ ..] if is(colon, ":") => rest,
        _ => after,
    };
    match after {
        [TokenTree::Ident(_), rest @ ..] => rest,
        _ => after,
    }
}

/// After `pub`: without `(crate)` and its like.
fn without_scope(after: &[TokenTree]) -> &[TokenTree] {
    match after {
        [TokenTree::Group(scope), rest @ ..] if scope.delimiter() == Delimiter::Parenthesis => rest,
        _ => after,
    }
}

/// `cfg(test)`, or `cfg(all(test, ...))`.
fn is_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// After an attribute: past the item, field or statement that it is on.
fn skip_item(mut tokens: &[TokenTree]) -> &[TokenTree] {
    while let [hash, TokenTree::Group(_), rest @ ..] = tokens {
        if !is(hash, "#") {
            break;
        }
        tokens = rest;
    }
    if let [TokenTree::Ident(word), rest @ ..] = tokens
        && word == "pub"
    {
        tokens = without_scope(rest);
    }
    let word = tokens.first().map(ToString::to_string).unwrap_or_default();
    let is_const_fn = matches!(tokens, [_, second, ..] if second.to_string() == "fn");
    let ends_at_semicolon =
        ["use", "const", "static", "let", "type"].contains(&word.as_str()) && !is_const_fn;
    let is_item = ["fn", "const", "async", "struct", "enum", "impl", "trait", "mod"].contains(&word.as_str());
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => !ends_at_semicolon && group.delimiter() == Delimiter::Brace,
        token => is(token, ";") || !is_item && !ends_at_semicolon && is(token, ","),
    });
    end.map_or(&[], |end| &tokens[end + 1..])
}
