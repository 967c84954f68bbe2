//! Credentials: tokens that show by their prefix what they are, the value behind a name such as `password=`, and the user and
//! password of a URL. The separators may be percent-encoded, as in a URL that is a parameter of another.

use std::ops::Range;

use super::key::{is_personal_number, is_secret};
use super::scan::{Encoded, byte, byte_before, is_word, run, run_back, starts, starts_ignoring_case};
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

/// The first letters of all that [`token`] knows, and of JSON web tokens.
pub(super) const INITIALS: &[u8] = b"bBesprwgxnhSA";

/// What comes before the credentials in an `Authorization` header.
const SCHEMES: &[&[u8]] = &[b"bearer", b"basic", b"digest", b"token"];

/// The token whose first letter is at `index`, the start of a word.
pub(super) fn token(text: &[u8], index: usize) -> Option<Found> {
    if matches!(byte(text, index), b'b' | b'B') {
        return bearer(text, index).or_else(|| basic(text, index));
    }
    let beginning = text.get(index..)?.first_chunk::<2>();
    let (prefix, least) = PREFIXES.iter().find(|(prefix, _)| {
        prefix.as_bytes().first_chunk::<2>() == beginning && starts(text, index, prefix.as_bytes())
    })?;
    let start = index + prefix.len();
    let end = token_end(text, start);
    (end - start >= *least).then(|| Kind::Token.at(index..end))
}

/// The end of what a token that starts at `index` is made of.
pub(super) fn token_end(text: &[u8], index: usize) -> usize {
    run(text, index, |byte| is_word(byte) || matches!(byte, b'-' | b'.'))
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

/// `Basic` and the user and password in base64 behind it (RFC 7617). The word is one of prose too, so what follows must read as
/// `user:password`.
fn basic(text: &[u8], index: usize) -> Option<Found> {
    if !starts_ignoring_case(text, index, b"basic") {
        return None;
    }
    let start = skip_spaces(text, index + 5);
    let end = run(text, start, |byte| {
        byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
    });
    let credentials = text.get(start..end)?;
    (start > index + 5 && is_user_and_password(credentials)).then(|| Kind::Token.at(start..end))
}

fn is_user_and_password(base64: &[u8]) -> bool {
    let decoded: Vec<u8> = base64.chunks(4).flat_map(decoded).collect();
    decoded.contains(&b':')
        && std::str::from_utf8(&decoded).is_ok_and(|text| !text.contains(char::is_control))
}

/// What four characters of base64 stand for; fewer at the end, or in front of padding, stand for fewer bytes.
fn decoded(characters: &[u8]) -> impl Iterator<Item = u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextet = |character: &u8| ALPHABET.iter().position(|known| known == character);
    let sextets = characters.iter().map_while(sextet);
    let (bits, count) = sextets.fold((0, 0), |(bits, count), sextet| (bits << 6 | sextet, count + 1));
    let bytes = u32::try_from(bits << (6 * (4_usize.saturating_sub(count)))).unwrap_or_default();
    let [_, bytes @ ..] = bytes.to_be_bytes();
    bytes.into_iter().take(count * 6 / 8)
}

/// Three parts in base64url, the first of which is JSON and so starts with `eyJ`, at `index`.
pub(super) fn json_web_token(text: &[u8], index: usize, end: usize) -> Option<Found> {
    let is_long = end - index >= 20;
    let has_parts = || text.get(index..end).is_some_and(|token| token.contains(&b'.'));
    (is_long && has_parts()).then(|| Kind::Token.at(index..end))
}

/// `user:password` of a URL, which would be at `start`, behind the `://`.
pub(super) fn user_info(text: &[u8], start: usize) -> Option<Found> {
    let authority = run(text, start, |byte| {
        !byte.is_ascii_whitespace() && !b"/\"'<>".contains(&byte)
    });
    // The last @ of the authority ends it: a password may have one of its own.
    let length = text
        .get(start..authority)?
        .iter()
        .rposition(|byte| *byte == b'@')?;
    secret(text, start..start + length)
}

/// The same in a URL that is percent-encoded `depth` times, behind its `%3A%2F%2F`.
pub(super) fn user_info_encoded(text: &[u8], start: usize, depth: usize) -> Option<Found> {
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

/// The secret in `range`, unless there is nothing, or nothing that is not masked already.
fn secret(text: &[u8], range: Range<usize>) -> Option<Found> {
    let value = text.get(range.clone())?;
    (!value.is_empty() && !is_masked(value)).then(|| Kind::Secret.at(range))
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

/// The same where the sign is percent-encoded, `sign.depth` times.
pub(super) fn keyed_encoded(text: &[u8], index: usize, sign: Encoded, from: usize) -> Option<Found> {
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

/// The name that ends before `end`, or before the quotes and spaces there.
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

/// Where a percent-encoded quote or space starts that ends at `end`.
fn encoded_quote_before(text: &[u8], end: usize) -> Option<usize> {
    [3, 5, 7].into_iter().find_map(|width| {
        let start = end.checked_sub(width)?;
        let encoded = Encoded::at(text, start)?;
        (encoded.width == width && b" \"'\\".contains(&encoded.byte)).then_some(start)
    })
}

/// `std::env` and `https://`.
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
    for scheme in SCHEMES {
        if starts_ignoring_case(text, start, scheme) {
            let behind = skip_spaces(text, start + scheme.len());
            if behind > start + scheme.len() {
                start = behind;
            }
        }
    }
    Some(start..value_end(text, start))
}

/// A value without quotes ends at a space, at a separator that another name follows, and at closing brackets and quotes that
/// one of these follows: `password=a,b` is one value, `password=a,user=b` two.
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

/// The value behind a sign that is percent-encoded `depth` times. What is encoded oftener belongs to the value.
fn encoded_value(text: &[u8], after: usize, depth: usize) -> Range<usize> {
    let mut start = skip_encoded(text, after, depth, b" \"'\\");
    for scheme in SCHEMES {
        if starts_ignoring_case(text, start, scheme) {
            start = match skip_encoded(text, start + scheme.len(), depth, b" ") {
                behind if behind > start + scheme.len() => behind,
                _ => start,
            };
        }
    }
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

/// Behind these characters, plain or encoded up to `depth` times. A plus sign is a space.
fn skip_encoded(text: &[u8], from: usize, depth: usize, these: &[u8]) -> usize {
    let mut at = from;
    loop {
        at += match Encoded::at(text, at) {
            Some(it) if it.depth <= depth && these.contains(&it.byte) => it.width,
            None if byte(text, at) == b'+' || these.contains(&byte(text, at)) => 1,
            _ => return at,
        };
    }
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

/// A telephone number in any form at `start`, behind a name that says that it is one.
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

fn skip_spaces(text: &[u8], from: usize) -> usize {
    match starts(text, from, b"%20") {
        true => from + 3,
        false => run(text, from, |byte| matches!(byte, b' ' | b'+' | b'\t')),
    }
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(&byte)
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_starts_with_a_letter_that_is_looked_at() {
        let schemes = [b'b', b'B', b'e'];
        let first = |prefix: &&str| prefix.as_bytes()[0];
        let prefixes = PREFIXES.iter().map(|(prefix, _)| first(prefix));
        for letter in prefixes.chain(schemes) {
            assert!(INITIALS.contains(&letter), "{}", char::from(letter));
        }
    }
}
