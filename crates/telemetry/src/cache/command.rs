//! What the span of a command says: its name, and its text without keys and values.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use redis::{Arg, Cmd};

use crate::intern::intern;

/// `db.operation.name` of a command that is no word, or one too many.
const OTHER: &str = "_OTHER";
/// The longest name of a command, in bytes.
const MAX_NAME_LEN: usize = 32;
/// The largest number of names: Redis has about 250 commands.
const MAX_NAMES: usize = 400;
/// Arguments that a text shows.
const MAX_ARGUMENTS: usize = 3;
/// Commands of a pipeline that a text shows.
const MAX_COMMANDS: usize = 5;

/// The command's name, in upper case.
pub(super) fn name(command: &Cmd) -> &'static str {
    static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let Some(word) = arguments(command).next().filter(|word| is_name(word)) else {
        return OTHER;
    };
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names
        .iter()
        .find(|name| name.as_bytes().eq_ignore_ascii_case(word))
    {
        return known;
    }
    if names.len() >= MAX_NAMES {
        return OTHER;
    }
    let name = intern(String::from_utf8_lossy(word).to_ascii_uppercase());
    names.push(name);
    name
}

/// The name of commands that are sent together: that of all, if they have the same.
pub(super) fn batch_name<'a>(commands: impl Iterator<Item = &'a Cmd>, is_transaction: bool) -> &'static str {
    let batch = if is_transaction { "MULTI" } else { "PIPELINE" };
    let mut names = commands.map(name);
    match names.next() {
        Some(first) if names.all(|name| name == first) => intern(format!("{batch} {first}")),
        _ => batch,
    }
}

/// The command's text, with `?` for each argument, or for its key the pattern that it matches.
pub(super) fn text(command: &Cmd, patterns: &[Box<str>]) -> String {
    let mut text = name(command).to_owned();
    let count = arguments(command).count().saturating_sub(1);
    for (at, argument) in arguments(command).skip(1).take(MAX_ARGUMENTS).enumerate() {
        let pattern = (at == 0).then(|| pattern(argument, patterns)).flatten();
        let _ = write!(text, " {}", pattern.unwrap_or("?"));
    }
    if count > MAX_ARGUMENTS {
        text.push_str(" ...");
    }
    text
}

pub(super) fn batch_text<'a>(
    commands: impl Iterator<Item = &'a Cmd>,
    patterns: &[Box<str>],
) -> Cow<'static, str> {
    let mut commands = commands.map(|command| text(command, patterns));
    let mut shown: Vec<_> = commands.by_ref().take(MAX_COMMANDS).collect();
    if commands.next().is_some() {
        shown.push("...".to_owned());
    }
    Cow::Owned(shown.join("; "))
}

fn arguments(command: &Cmd) -> impl Iterator<Item = &[u8]> {
    command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => bytes,
        _ => b"0".as_slice(),
    })
}

/// A word such as `GET`, `FT.SEARCH` or `JSON.GET`.
fn is_name(word: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'_' | b'-');
    !word.is_empty() && word.len() <= MAX_NAME_LEN && word.iter().all(is_of_name)
}

/// The first pattern that the key matches; `*` is any text.
fn pattern<'a>(key: &[u8], patterns: &'a [Box<str>]) -> Option<&'a str> {
    let key = str::from_utf8(key).ok()?;
    let matches = |pattern: &&str| {
        let mut parts = pattern.split('*');
        let Some(mut rest) = parts.next().and_then(|start| key.strip_prefix(start)) else {
            return false;
        };
        let mut is_open = false;
        for part in parts {
            is_open = true;
            match rest.find(part) {
                Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        rest.is_empty() || is_open && pattern.ends_with('*')
    };
    patterns.iter().map(|pattern| &**pattern).find(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cmd(words: &[&str]) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg(words);
        cmd
    }

    #[test]
    fn a_text_has_neither_keys_nor_values() {
        let patterns = ["totals:*", "van:*:driver"].map(Box::from);
        for (words, expected) in [
            (&["get", "totals:joe"][..], "GET totals:*"),
            (
                &["SET", "van:7:driver", "joe", "EX", "60"],
                "SET van:*:driver ? ? ...",
            ),
            (&["GET", "van:7:driver:joe"], "GET ?"),
            (&["GET", "joe"], "GET ?"),
            (&["PING"], "PING"),
            (&["FT.SEARCH", "totals", "joe"], "FT.SEARCH ? ?"),
            (&["joe@example.com"], "_OTHER"),
            (&[], "_OTHER"),
        ] {
            assert_eq!(text(&cmd(words), &patterns), expected);
        }
    }

    #[test]
    fn a_batch_of_one_kind_of_command_is_named_by_it() {
        let [get, set] = [cmd(&["GET", "a"]), cmd(&["SET", "a", "b"])];
        assert_eq!(batch_name([&get, &get].into_iter(), false), "PIPELINE GET");
        assert_eq!(batch_name([&get, &set].into_iter(), false), "PIPELINE");
        assert_eq!(batch_name([&set, &set].into_iter(), true), "MULTI SET");
        assert_eq!(batch_text([&get, &set].into_iter(), &[]), "GET ?; SET ? ?");
        assert!(batch_text([&get; 9].into_iter(), &[]).ends_with("GET ?; ..."));
    }
}
