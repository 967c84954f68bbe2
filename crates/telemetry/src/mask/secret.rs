//! Credentials: tokens that show by their prefix what they are, the value behind a name such as `password=`, and the user and
//! password of a URL.

use super::key::{is_personal_number, is_secret};
use super::scan::{byte, byte_before, is_word, run, run_back, starts, starts_ignoring_case};
use super::{Found, Kind, phone};

/// What issuers put in front of their keys, and how many characters follow at least.
const PREFIXES: &[(&str, usize)] = &[
    ("sk_live_", 4),
    ("sk_test_", 4),
    ("pk_live_", 4),
    ("pk_test_", 4),
    ("rk_live_", 4),
    ("rk_test_", 4),
    ("whsec_", 8),
    ("sk-", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxa-", 8),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("xoxs-", 8),
    ("npm_", 30),
    ("hf_", 30),
    ("SG.", 20),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
];

/// The token whose first letter is at `index`, the start of a word.
pub(super) fn token(text: &[u8], index: usize) -> Option<Found> {
    match byte(text, index) {
        b'b' | b'B' => bearer(text, index),
        b'e' => json_web_token(text, index),
        b's' | b'p' | b'r' | b'w' | b'g' | b'x' | b'n' | b'h' | b'S' | b'A' => {
            let (prefix, least) = PREFIXES
                .iter()
                .find(|(prefix, _)| starts(text, index, prefix.as_bytes()))?;
            let start = index + prefix.len();
            let end = run(text, start, |byte| {
                is_word(byte) || matches!(byte, b'-' | b'.')
            });
            (end - start >= *least).then(|| Kind::Token.at(index..end))
        }
        _ => None,
    }
}

/// `Bearer` and what follows it (RFC 6750).
fn bearer(text: &[u8], index: usize) -> Option<Found> {
    if !starts_ignoring_case(text, index, b"bearer") {
        return None;
    }
    let start = skip_spaces(text, index + 6);
    let end = run(text, start, is_token68);
    (start > index + 6 && end > start).then(|| Kind::Token.at(start..end))
}

/// Three parts in base64url, the first of which is JSON and so starts with `eyJ`.
fn json_web_token(text: &[u8], index: usize) -> Option<Found> {
    if !starts(text, index, b"eyJ") {
        return None;
    }
    let end = run(text, index, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.')
    });
    let dots = text.get(index..end)?.iter().filter(|byte| **byte == b'.');
    (end - index >= 20 && dots.count() >= 1).then(|| Kind::Token.at(index..end))
}

/// `user:password@` of a URL, with the `@` at `index`.
pub(super) fn user_info(text: &[u8], index: usize, from: usize) -> Option<Found> {
    let is_part = |byte: u8| !byte.is_ascii_whitespace() && !b"/\"'<>".contains(&byte);
    let start = run_back(text, index, from, is_part);
    let scheme = start.checked_sub(3)?;
    if !starts(text, scheme, b"://") || start == index {
        return None;
    }
    // The last @ of the authority ends it: a password may have one of its own.
    let authority = run(text, index, is_part);
    let length = text
        .get(start..authority)?
        .iter()
        .rposition(|byte| *byte == b'@')?;
    let range = start..start + length;
    (!is_masked(text.get(range.clone())?)).then(|| Kind::Secret.at(range))
}

/// Whether what stands at the value's place is no secret: one masked before, or `REDACTED` as the conventions have it in URLs.
fn is_masked(value: &[u8]) -> bool {
    // A closing bracket at the end is not part of a value.
    matches!(
        value,
        b"[secret" | b"[secret]" | b"REDACTED" | b"REDACTED:REDACTED"
    )
}

/// The value behind the `=` or `:` at `index`, where the name before it says that it is a secret.
pub(super) fn keyed(text: &[u8], index: usize, from: usize) -> Option<Found> {
    if byte(text, index) == b':' && is_path_or_scheme(text, index) {
        return None;
    }
    let name_end = run_back(text, index, from, |byte| b" \"'\\".contains(&byte));
    let name_start = run_back(text, name_end, from, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.')
    });
    let name = text
        .get(name_start..name_end)
        .filter(|name| name.len() >= 3)?;
    if is_secret(name) {
        value(text, index + 1)
            .filter(|range| !text.get(range.clone()).is_some_and(is_masked))
            .map(|range| Kind::Secret.at(range))
    } else if is_personal_number(name) {
        number(text, index + 1)
    } else {
        None
    }
}

/// `std::env` and `https://`.
fn is_path_or_scheme(text: &[u8], index: usize) -> bool {
    byte(text, index + 1) == b':' || byte_before(text, index) == b':' || starts(text, index, b"://")
}

fn value(text: &[u8], after: usize) -> Option<std::ops::Range<usize>> {
    let mut start = run(text, after, |byte| {
        matches!(byte, b' ' | b'>' | b'\\' | b'=')
    });
    let quote = byte(text, start);
    if matches!(quote, b'"' | b'\'') {
        let escaped = byte_before(text, start) == b'\\';
        start += 1;
        let end = quoted_end(text, start, quote, escaped);
        return (end > start).then_some(start..end);
    }
    // `Authorization: Basic dXNlcjpwYXNz` is one value.
    for scheme in [b"bearer".as_slice(), b"basic", b"digest", b"token"] {
        if starts_ignoring_case(text, start, scheme) {
            let behind = skip_spaces(text, start + scheme.len());
            if behind > start + scheme.len() {
                start = behind;
            }
        }
    }
    let mut end = start;
    while end < text.len() && !ends_value(text, end) {
        end += 1;
    }
    (end > start).then_some(start..end)
}

/// The closing quote, behind as many backslashes as the opening one.
fn quoted_end(text: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut at = start;
    while at < text.len() {
        match byte(text, at) {
            b'\\' if escaped && byte(text, at + 1) == quote => return at,
            b'\\' => at += 2,
            byte if byte == quote => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// A value without quotes ends at a space, at a separator that another name follows, and at closing brackets and quotes that
/// one of these follows: `password=a,b` is one value, `password=a,user=b` two.
fn ends_value(text: &[u8], at: usize) -> bool {
    match byte(text, at) {
        byte if byte.is_ascii_whitespace() => true,
        b'&' | b',' | b';' => separates(text, at),
        b')' | b'}' | b']' | b'"' | b'\'' => {
            let behind = run(text, at, |byte| b")}]\"'".contains(&byte));
            is_end(text, behind) || separates(text, behind)
        }
        _ => false,
    }
}

fn separates(text: &[u8], at: usize) -> bool {
    b"&,;".contains(&byte(text, at)) && (is_end(text, at + 1) || is_name(text, at + 1))
}

fn is_end(text: &[u8], at: usize) -> bool {
    at >= text.len() || byte(text, at).is_ascii_whitespace()
}

/// Whether a name and its `=` or `:` stand at `at`.
fn is_name(text: &[u8], at: usize) -> bool {
    let start = run(text, at, |byte| b"\"'\\".contains(&byte));
    let end = run(text, start, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.' | b'[' | b']' | b'%')
    });
    let sign = run(text, end, |byte| b"\"'\\".contains(&byte));
    end > start && matches!(byte(text, sign), b'=' | b':')
}

/// A telephone number in any form, behind a name that says that it is one.
fn number(text: &[u8], after: usize) -> Option<Found> {
    let start = run(text, after, |byte| b" \"'\\".contains(&byte));
    let known = match byte(text, start) {
        b'+' => phone::international(text, start, 1),
        b'%' => phone::international(text, start, 3),
        b'(' => phone::in_parentheses(text, start),
        b'0'..=b'9' => phone::national(text, start),
        _ => return None,
    };
    known.or_else(|| {
        let end = run(text, start, |byte| {
            byte.is_ascii_digit() || b"+-. ()/%".contains(&byte)
        });
        let end = run_back(text, end, start, |byte| !byte.is_ascii_digit());
        let digits = text
            .get(start..end)?
            .iter()
            .filter(|byte| byte.is_ascii_digit());
        (digits.count() >= 6).then(|| Kind::Phone.at(start..end))
    })
}

fn skip_spaces(text: &[u8], from: usize) -> usize {
    match starts(text, from, b"%20") {
        true => from + 3,
        false => run(text, from, |byte| matches!(byte, b' ' | b'+' | b'\t')),
    }
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(&byte)
}
