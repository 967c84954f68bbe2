//! Tokens that are recognized by their own form: keys with an issuer's prefix, JSON web tokens, `Bearer` and
//! `Basic` credentials.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::bytes::{byte, is_word, run, skip_spaces, starts, starts_ignoring_case};
use crate::found::{Found, Kind};

/// Padding is removed before, and the last byte can be cut.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The prefixes with this first letter that issuers give their keys, with the least number of characters that
/// follow.
fn issuer_prefixes(first: u8) -> &'static [(&'static str, usize)] {
    match first {
        b's' => &[("sk_live_", 4), ("sk_test_", 4), ("sk-", 20)],
        b'p' => &[("pk_live_", 4), ("pk_test_", 4)],
        b'r' => &[("rk_live_", 4), ("rk_test_", 4)],
        b'w' => &[("whsec_", 8)],
        b'g' => &[
            ("ghp_", 20),
            ("gho_", 20),
            ("ghu_", 20),
            ("ghs_", 20),
            ("ghr_", 20),
            ("github_pat_", 20),
            ("glpat-", 16),
        ],
        b'x' => &[("xoxa-", 8), ("xoxb-", 8), ("xoxp-", 8), ("xoxs-", 8)],
        b'n' => &[("npm_", 30)],
        b'h' => &[("hf_", 30)],
        b'S' => &[("SG.", 20)],
        b'A' => &[("AKIA", 16), ("ASIA", 16), ("AIza", 30)],
        _ => &[],
    }
}

/// The token whose first letter is at `index`, the start of a word.
pub(crate) fn starting(text: &[u8], index: usize) -> Option<Found> {
    let first = byte(text, index);
    if matches!(first, b'b' | b'B') {
        return bearer(text, index).or_else(|| basic(text, index));
    }
    let (prefix, min_length) = issuer_prefixes(first)
        .iter()
        .find(|(prefix, _)| starts(text, index, prefix.as_bytes()))?;
    let start = index + prefix.len();
    let end = end(text, start);
    (end - start >= *min_length).then(|| Kind::Token.at(index..end))
}

/// The end of the characters of a token from `start`.
pub(crate) fn end(text: &[u8], start: usize) -> usize {
    run(text, start, |byte| is_word(byte) || matches!(byte, b'-' | b'.'))
}

/// Three parts in base64url, the first of which is a JSON object and so starts with `eyJ`, at `index`.
pub(crate) fn json_web_token(text: &[u8], index: usize, end: usize) -> Option<Found> {
    let is_long = end - index >= 20;
    let has_parts = || text.get(index..end).is_some_and(|token| token.contains(&b'.'));
    (is_long && has_parts()).then(|| Kind::Token.at(index..end))
}

/// The token behind `Bearer` (RFC 6750).
fn bearer(text: &[u8], index: usize) -> Option<Found> {
    credentials(text, index, b"bearer", |byte| {
        byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(&byte)
    })
}

/// The user and password in base64 behind `Basic` (RFC 7617). The word is common in prose, so the base64 must
/// decode to `user:password`.
fn basic(text: &[u8], index: usize) -> Option<Found> {
    credentials(text, index, b"basic", |byte| {
        byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
    })
    .filter(|found| text.get(found.range.clone()).is_some_and(is_user_and_password))
}

/// The run of bytes that `is_part` accepts, behind the scheme of an `Authorization` header and a space.
fn credentials(text: &[u8], index: usize, scheme: &[u8], is_part: impl Fn(u8) -> bool) -> Option<Found> {
    if !starts_ignoring_case(text, index, scheme) {
        return None;
    }
    let start = skip_spaces(text, index + scheme.len());
    let end = run(text, start, is_part);
    (start > index + scheme.len() && end > start).then(|| Kind::Token.at(start..end))
}

fn is_user_and_password(base64: &[u8]) -> bool {
    let unpadded = run(base64, 0, |byte| byte != b'=');
    // One character of a cut group of four is less than a byte.
    let whole = unpadded - usize::from(unpadded % 4 == 1);
    let decoded = BASE64.decode(base64.get(..whole).unwrap_or_default());
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.is_some_and(|text| text.contains(':') && !text.contains(char::is_control))
}
