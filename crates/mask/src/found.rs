//! What a rule found in a text, and what replaces it.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Email,
    Phone,
    Card,
    Token,
    Secret,
    /// Replaced by this, for a pattern.
    Custom(&'static str),
}

impl Kind {
    pub(crate) fn replacement(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::Token => "[token]",
            Self::Secret => "[secret]",
            Self::Custom(replacement) => replacement,
        }
    }

    pub(crate) fn at(self, range: Range<usize>) -> Found {
        Found { range, kind: self }
    }
}
