//! Personal data and credentials, masked before they leave the process: e-mail addresses, telephone numbers, card numbers,
//! tokens, API keys and passwords. Every span, log record and line of output passes through here by itself; [`text`] is there
//! for what takes another way out.
//!
//! It errs on the side of masking, but identifiers, amounts and times stay readable:
//!
//! ```
//! use throughline_mask as mask;
//!
//! assert_eq!(
//!     mask::text("joe@example.com paid 99.99 with 4111 1111 1111 1111, password=hunter2"),
//!     "[email] paid 99.99 with [card], password=[secret]",
//! );
//! let clean = "order 01920b5e-8a7d-7c3e-9f10-4111111111ab at 2026-01-02T03:04:05Z from 10.0.0.1:8080";
//! assert_eq!(mask::text(clean), clean);
//! ```

mod card;
mod email;
mod key;
mod known;
mod phone;
mod scan;
mod secret;

use std::borrow::Cow;
use std::ops::Range;

use self::scan::Scanner;

/// What was found, and what is written in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    range: Range<usize>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Email,
    Phone,
    Card,
    Token,
    Secret,
}

impl Kind {
    fn replacement(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::Token => "[token]",
            Self::Secret => "[secret]",
        }
    }

    fn at(self, range: Range<usize>) -> Found {
        Found { range, kind: self }
    }
}

/// The text without what must not leave the process. Allocates only where something was found. The work grows with the length of
/// the text and no faster, whatever is in it.
pub fn text(text: &str) -> Cow<'_, str> {
    prefix(text, text.len())
}

/// How far beyond a cut one must look to see what it goes through, such as the rest of an e-mail address. In bytes.
const MARGIN: usize = 1_024;

/// The first `most` bytes of the text, or as many as end with a whole character, masked as the whole text would be.
pub fn prefix(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && known::is_known(&known::TEXTS, text) {
        return Cow::Borrowed(text);
    }
    let kept = whole_characters(text, most);
    let seen = whole_characters(text, most.saturating_add(MARGIN));
    let mut finds = Scanner::new(text.get(..seen).unwrap_or(text)).take_while(|it| it.range.start < kept);
    let Some(first) = finds.next() else {
        if kept == text.len() {
            known::remember(&known::TEXTS, text);
        }
        return Cow::Borrowed(text.get(..kept).unwrap_or(text));
    };
    let mut masked = String::with_capacity(kept);
    let mut done = 0;
    for found in std::iter::once(first).chain(finds) {
        // What was found starts and ends at ASCII, so these are always whole characters.
        masked.push_str(text.get(done..found.range.start).unwrap_or_default());
        masked.push_str(found.kind.replacement());
        done = found.range.end;
    }
    masked.push_str(text.get(done..kept).unwrap_or_default());
    Cow::Owned(masked)
}

/// The length of the whole characters in the first `most` bytes.
fn whole_characters(text: &str, most: usize) -> usize {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The first `most` bytes of what a field says, masked; all of it is where its name says that it is a secret.
pub fn field<'a>(name: &str, value: &'a str, most: usize) -> Cow<'a, str> {
    if key::is_sensitive(name) {
        Cow::Borrowed(Kind::Secret.replacement())
    } else {
        prefix(value, most)
    }
}

/// What is written instead of a whole number that could be a card's, or whose field's name says that it is a secret.
pub fn integer(name: &str, integer: impl TryInto<u64>) -> Option<&'static str> {
    if key::is_sensitive(name) {
        return Some(Kind::Secret.replacement());
    }
    let number = integer.try_into().ok()?;
    card::is_number(number).then(|| Kind::Card.replacement())
}

/// The same of a number with a fraction, which may be 0.
pub fn float(name: &str, float: f64) -> Option<&'static str> {
    let whole = match float.fract() == 0.0 && float > 1e12 {
        true => format!("{float:.0}").parse().unwrap_or_default(),
        false => 0_u64,
    };
    integer(name, whole)
}
