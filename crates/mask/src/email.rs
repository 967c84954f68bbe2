//! E-mail addresses, also with a percent-encoded `@`, as in a query.

use crate::bytes::{byte, byte_before, run, run_back};
use crate::found::{Found, Kind};

/// The address around an `@` of `width` bytes at `index`, not before `from`. The domain is read first:
/// hostile texts have many an `@` without one, before which nothing is read.
pub(crate) fn around(text: &[u8], index: usize, width: usize, from: usize) -> Option<Found> {
    let domain = index + width;
    let mut end = run(text, domain, is_domain);
    while end > domain && matches!(byte_before(text, end), b'.' | b'-') {
        end -= 1;
    }
    if !has_top_level(text.get(domain..end)?) {
        return None;
    }
    let start = match byte_before(text, index) {
        b'"' => quoted(text, index, from)?,
        _ => run_back(text, index, from, is_local),
    };
    (start < index).then(|| Kind::Email.at(start..end))
}

/// The characters that RFC 5322 allows before the `@`, without those that end a value in a query, in JSON or
/// in prose.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || b".!#$%*+-^_`~'".contains(&byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'.' | b'-')
}

/// The start of the quoted part of `"joe bloggs"@example.com`; `index` is that of the `@`.
fn quoted(text: &[u8], index: usize, from: usize) -> Option<usize> {
    let inside = run_back(text, index - 1, from, |byte| byte != b'"');
    (inside > from && byte(text, inside - 1) == b'"' && inside < index - 1).then(|| inside - 1)
}

/// Distinguishes `joe@example.com` from `image@1.2.3` and `user@host`.
fn has_top_level(host: &[u8]) -> bool {
    let mut labels = host.rsplit(|byte| *byte == b'.');
    let top = labels.next().unwrap_or_default();
    let letters = top
        .iter()
        .all(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii());
    let named = top.len() >= 2 && (letters || top.starts_with(b"xn--"));
    named && labels.next().is_some_and(|label| !label.is_empty())
}
