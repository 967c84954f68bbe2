//! Personal data and credentials, masked before they leave the process: e-mail addresses, telephone numbers, card numbers,
//! tokens, API keys and passwords. Every span, log record and line of output passes through here by itself; [`text`] is there
//! for what takes another way out.
//!
//! It errs on the side of masking, but identifiers, amounts and times stay readable:
//!
//! ```
//! use throughline_telemetry::mask;
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
mod phone;
#[cfg(test)]
mod properties;
mod record;
mod scan;
mod secret;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use record::{Masked, log_record, span};

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

/// The text without what must not leave the process. Allocates only where something was found.
pub fn text(text: &str) -> Cow<'_, str> {
    let Some(first) = scan::find(text.as_bytes(), 0) else {
        return Cow::Borrowed(text);
    };
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    let mut next = Some(first);
    while let Some(found) = next {
        // What was found starts and ends at ASCII, so these are always whole characters.
        masked.push_str(text.get(done..found.range.start).unwrap_or_default());
        masked.push_str(found.kind.replacement());
        done = found.range.end;
        next = scan::find(text.as_bytes(), done);
    }
    masked.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(masked)
}

/// What a field says: all of it is masked where its name says that it is a secret.
pub(crate) fn field<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if key::is_sensitive(name) {
        Cow::Borrowed(Kind::Secret.replacement())
    } else {
        text(value)
    }
}

/// What is written instead of a whole number that could be a card's.
pub(crate) fn number(number: i64) -> Option<&'static str> {
    card::is_number(number).then(|| Kind::Card.replacement())
}
