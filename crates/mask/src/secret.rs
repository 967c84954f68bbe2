//! Secrets that are recognized by what is around them: the value behind a name such as `password=`, and the
//! user and password of a URL. The separators may be percent-encoded, as in a URL that is a parameter of
//! another.

use std::ops::Range;

use crate::bytes::{byte, byte_before, is_word, run, run_back, skip_spaces, starts, starts_ignoring_case};
use crate::encoded::Encoded;
use crate::found::{Found, Kind};
use crate::name::{is_personal_number, is_secret};
use crate::phone;

/// Schemes of an `Authorization` header. They are not masked; the credentials behind them are.
const SCHEMES: &[&[u8]] = &[b"bearer", b"basic", b"digest", b"token"];

/// The `user:password` of a URL whose authority is at `start`, behind `://`.
pub(crate) fn user_info(text: &[u8], start: usize) -> Option<Found> {
    let authority = run(text, start, |byte| {
        !byte.is_ascii_whitespace() && !b"/\"'<>".contains(&byte)
    });
    // A password may contain an @, so the last one of the authority counts.
    let length = text
        .get(start..authority)?
        .iter()
        .rposition(|byte| *byte == b'@')?;
    secret(text, start..start + length)
}

/// Like [`user_info`], of a URL that is percent-encoded `depth` times, behind `%3A%2F%2F`.
pub(crate) fn user_info_encoded(text: &[u8], start: usize, depth: usize) -> Option<Found> {
    let (mut at, mut end) = (start, None);
    while at < text.len() && !ends_encoded_value(text, at, depth) {
        match Encoded::at(text, at) {
            Some(encoded) if encoded.depth <= depth => match encoded.byte {
                b'/' => break,
                b'@' => end = Some(at),
                _ => {}
            },
            _ => {}
        }
        at += 1;
    }
    secret(text, start..end?)
}

/// The secret in `range`, unless it is empty or masked already.
fn secret(text: &[u8], range: Range<usize>) -> Option<Found> {
    let value = text.get(range.clone())?;
    (!value.is_empty() && !is_masked(value)).then(|| Kind::Secret.at(range))
}

/// Whether the value was masked before: here, or as `REDACTED` by the semantic conventions for URLs.
fn is_masked(value: &[u8]) -> bool {
    // A closing bracket at the end is not part of a value.
    matches!(
        value,
        b"[secret" | b"[secret]" | b"REDACTED" | b"REDACTED:REDACTED"
    )
}

/// The value behind the `=` or `:` at `index`, if the name before it is sensitive.
pub(crate) fn keyed(text: &[u8], index: usize, from: usize) -> Option<Found> {
    if byte(text, index) == b':' && is_path_or_scheme(text, index) {
        return None;
    }
    let name = name_before(text, index, from)?;
    if is_secret(name) {
        secret(text, value(text, index + 1)?)
    } else if is_personal_number(name) {
        let quotes = |byte| b" \"'\\".contains(&byte);
        number(text, run(text, index + 1, quotes))
    } else {
        None
    }
}

/// Like [`keyed`], with a percent-encoded sign.
pub(crate) fn keyed_encoded(text: &[u8], index: usize, sign: Encoded, from: usize) -> Option<Found> {
    let name = name_before(text, index, from)?;
    let after = index + sign.width;
    if is_secret(name) {
        secret(text, encoded_value(text, after, sign.depth))
    } else if is_personal_number(name) {
        number(text, skip_encoded(text, after, sign.depth, b" \"'\\"))
    } else {
        None
    }
}

/// The name that ends at `end`, or before the quotes and spaces there.
fn name_before(text: &[u8], end: usize, from: usize) -> Option<&[u8]> {
    let mut end = run_back(text, end, from, |byte| b" \"'\\".contains(&byte));
    while let Some(before) = encoded_quote_before(text, end).filter(|before| *before >= from) {
        end = before;
    }
    let start = run_back(text, end, from, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.')
    });
    text.get(start..end).filter(|name| name.len() >= 3)
}

/// The start of the percent-encoded quote or space that ends at `end`.
fn encoded_quote_before(text: &[u8], end: usize) -> Option<usize> {
    [3, 5, 7].into_iter().find_map(|width| {
        let start = end.checked_sub(width)?;
        let encoded = Encoded::at(text, start)?;
        (encoded.width == width && b" \"'\\".contains(&encoded.byte)).then_some(start)
    })
}

/// Whether the colon at `index` is that of `std::env` or `https://`.
fn is_path_or_scheme(text: &[u8], index: usize) -> bool {
    byte(text, index + 1) == b':' || byte_before(text, index) == b':' || starts(text, index, b"://")
}

fn value(text: &[u8], after: usize) -> Option<Range<usize>> {
    let mut start = run(text, after, |byte| matches!(byte, b' ' | b'>' | b'\\' | b'='));
    let quote = byte(text, start);
    if matches!(quote, b'"' | b'\'') {
        let escaped = byte_before(text, start) == b'\\';
        start += 1;
        let end = quoted_end(text, start, quote, escaped);
        return (end > start).then_some(start..end);
    }
    // `Authorization: Basic dXNlcjpwYXNz` is one value.
    let start = skip_schemes(text, start, |from| skip_spaces(text, from));
    Some(start..value_end(text, start))
}

/// The start of the credentials behind the schemes at `start` and the spaces that `skip` finds.
fn skip_schemes(text: &[u8], mut start: usize, skip: impl Fn(usize) -> usize) -> usize {
    for scheme in SCHEMES {
        let end = start + scheme.len();
        if starts_ignoring_case(text, start, scheme) && skip(end) > end {
            start = skip(end);
        }
    }
    start
}

/// The end of a value without quotes: at a space, at a separator that another name follows, or at closing
/// brackets and quotes that one of these follows. `password=a,b` has one value, `password=a,user=b` two.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < text.len() {
        match byte(text, at) {
            byte if byte.is_ascii_whitespace() => break,
            b'&' | b',' | b';' if separates(text, at) => break,
            b')' | b'}' | b']' | b'"' | b'\'' => {
                let behind = run(text, at, |byte| b")}]\"'".contains(&byte));
                if is_end(text, behind) || separates(text, behind) {
                    break;
                }
                at = behind;
            }
            _ => at += 1,
        }
    }
    at
}

/// The value behind a sign that is percent-encoded `depth` times. Deeper encoding is treated as part of the
/// value.
fn encoded_value(text: &[u8], after: usize, depth: usize) -> Range<usize> {
    let start = skip_encoded(text, after, depth, b" \"'\\");
    let start = skip_schemes(text, start, |from| skip_encoded(text, from, depth, b" "));
    let mut end = start;
    while end < text.len() && !ends_encoded_value(text, end, depth) {
        end += 1;
    }
    start..end
}

fn ends_encoded_value(text: &[u8], at: usize, depth: usize) -> bool {
    let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'&' | b'"' | b'\'');
    ends(byte(text, at)) || Encoded::at(text, at).is_some_and(|it| it.depth <= depth && ends(it.byte))
}

/// The end of a run of these characters, plain or encoded up to `depth` times. A plus sign counts as a space.
fn skip_encoded(text: &[u8], start: usize, depth: usize, accepted: &[u8]) -> usize {
    let mut at = start;
    loop {
        at += match Encoded::at(text, at) {
            Some(it) if it.depth <= depth && accepted.contains(&it.byte) => it.width,
            None if byte(text, at) == b'+' || accepted.contains(&byte(text, at)) => 1,
            _ => return at,
        };
    }
}

/// The index of the closing quote, or of its backslash if the opening quote is `escaped`.
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

fn separates(text: &[u8], at: usize) -> bool {
    b"&,;".contains(&byte(text, at)) && (is_end(text, at + 1) || is_name(text, at + 1))
}

fn is_end(text: &[u8], at: usize) -> bool {
    at >= text.len() || byte(text, at).is_ascii_whitespace()
}

/// Whether a name and its `=` or `:` are at `at`.
fn is_name(text: &[u8], at: usize) -> bool {
    let start = run(text, at, |byte| b"\"'\\".contains(&byte));
    let end = run(text, start, |byte| {
        is_word(byte) || matches!(byte, b'-' | b'.' | b'[' | b']' | b'%')
    });
    let sign = run(text, end, |byte| b"\"'\\".contains(&byte));
    end > start && matches!(byte(text, sign), b'=' | b':')
}

/// The telephone or card number in any form at `start`, behind the name of a personal number.
fn number(text: &[u8], start: usize) -> Option<Found> {
    let known = match byte(text, start) {
        b'+' => phone::international(text, start, 1),
        b'%' => phone::international(text, start, Encoded::at(text, start)?.width),
        b'(' => phone::in_parentheses(text, start),
        b'0'..=b'9' => phone::national(text, start),
        _ => return None,
    };
    known.or_else(|| {
        let end = run(text, start, |byte| {
            byte.is_ascii_digit() || b"+-. ()/%".contains(&byte)
        });
        let end = run_back(text, end, start, |byte| !byte.is_ascii_digit());
        let digits = text.get(start..end)?.iter().filter(|byte| byte.is_ascii_digit());
        (digits.count() >= 6).then(|| Kind::Phone.at(start..end))
    })
}
