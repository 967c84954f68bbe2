#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bytes;
mod card;
mod clean;
mod email;
mod encoded;
mod found;
mod groups;
mod name;
mod optional;
mod pattern;
mod phone;
mod scanner;
mod secret;
mod separator;
mod token;
mod uuid;
mod wide;

use std::borrow::Cow;

pub use optional::{IBAN, NATIONAL_ID};
pub use pattern::{Pattern, TooLate, add_patterns};

use crate::found::{Found, Kind};
use crate::scanner::Scanner;

/// Masks the text. Allocates only if something is masked.
pub fn text(text: &str) -> Cow<'_, str> {
    prefix(text, text.len())
}

/// How many bytes after a cut are scanned, to find what the cut divides, such as an e-mail address.
const LOOKAHEAD: usize = 1_024;

/// Cuts the text after `max_bytes`, at a whole character, and masks it as the whole text would be. The
/// replacement of a secret at the cut is not cut, so the result can be a few bytes longer than `max_bytes`.
pub fn prefix(text: &str, max_bytes: usize) -> Cow<'_, str> {
    let is_whole = text.len() <= max_bytes;
    if is_whole && clean::TEXTS.with_borrow(|texts| texts.contains(text.as_bytes())) {
        return Cow::Borrowed(text);
    }
    let cut = floor_char_boundary(text, max_bytes);
    let scanned = floor_char_boundary(text, max_bytes.saturating_add(LOOKAHEAD));
    let scanned = text.get(..scanned).unwrap_or(text);
    let scanner = Scanner::new(scanned);
    match pattern::all() {
        [] => replace(text, cut, is_whole, scanner),
        patterns => {
            let finds = pattern::merged(scanned, scanner, patterns);
            replace(text, cut, is_whole, finds.into_iter())
        }
    }
}

/// Replaces what is found before `cut`. If nothing is, a whole text is clean.
fn replace(text: &str, cut: usize, is_whole: bool, finds: impl Iterator<Item = Found>) -> Cow<'_, str> {
    let mut finds = finds.take_while(|found| found.range.start < cut).peekable();
    if finds.peek().is_none() {
        if is_whole {
            clean::TEXTS.with_borrow_mut(|texts| texts.insert(text.as_bytes()));
        }
        return Cow::Borrowed(text.get(..cut).unwrap_or(text));
    }
    let mut masked = String::with_capacity(cut);
    let mut copied = 0;
    for found in finds {
        // Every find starts and ends at whole characters.
        masked.push_str(text.get(copied..found.range.start).unwrap_or_default());
        masked.push_str(found.kind.replacement());
        copied = found.range.end;
    }
    masked.push_str(text.get(copied..cut).unwrap_or_default());
    Cow::Owned(masked)
}

/// The end of the last whole character within the first `max_bytes`.
fn floor_char_boundary(text: &str, max_bytes: usize) -> usize {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Masks the value of a field as [`prefix`] does; `[secret]` if the field's name is that of a secret or of a
/// personal number, such as `client_secret` and `customer.phone`.
pub fn field<'a>(name: &str, value: &'a str, max_bytes: usize) -> Cow<'a, str> {
    if name::is_sensitive(name) {
        Cow::Borrowed(Kind::Secret.replacement())
    } else {
        prefix(value, max_bytes)
    }
}

/// The replacement of an integer that is a valid card number, or whose field has a sensitive name; `None` for
/// all others.
pub fn integer(name: &str, integer: impl TryInto<u64>) -> Option<&'static str> {
    if name::is_sensitive(name) {
        return Some(Kind::Secret.replacement());
    }
    let integer = integer.try_into().ok()?;
    card::is_number(integer).then(|| Kind::Card.replacement())
}

/// Like [`integer`]. A number with a fraction is never a card number.
pub fn float(name: &str, float: f64) -> Option<&'static str> {
    let whole = if float.fract() == 0.0 && float > 1e12 {
        format!("{float:.0}").parse().unwrap_or_default()
    } else {
        0_u64
    };
    integer(name, whole)
}
