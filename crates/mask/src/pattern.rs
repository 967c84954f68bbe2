//! Patterns beside the built-in rules: those of the crate that are optional, and a program's own.

use std::ops::Range;
use std::sync::OnceLock;

use crate::found::{Found, Kind};

/// What else is masked, and by what it is replaced.
///
/// ```
/// # use throughline_mask::{IBAN, Pattern, add_patterns, text};
/// const MEMBER: Pattern = Pattern {
///     replacement: "[member]",
///     find: |text| {
///         let start = text.find("M-")?;
///         let digits = text[start + 2..].bytes().take_while(u8::is_ascii_digit).count();
///         Some(start..start + 2 + digits)
///     },
/// };
/// add_patterns(&[MEMBER, IBAN]).unwrap();
/// assert_eq!(text("M-17 pays from DE89 3704 0044 0532 0130 00"), "[member] pays from [iban]");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    /// `[member]`, for example.
    pub replacement: &'static str,
    /// The first find in the text, at whole characters. Its time must be linear in what it reads before the
    /// end of the find, because it is called again with the rest of the text. An empty range ends the search.
    pub find: fn(text: &str) -> Option<Range<usize>>,
}

/// The patterns cannot be added: some were before, or a text was masked without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate;

impl std::fmt::Display for TooLate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("patterns must be added once, before the first text is masked")
    }
}

impl std::error::Error for TooLate {}

static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();

/// Masks these patterns too, in the whole process.
///
/// # Errors
/// If patterns were added before, or a text was masked.
pub fn add_patterns(patterns: &[Pattern]) -> Result<(), TooLate> {
    PATTERNS.set(patterns.to_vec()).map_err(|_| TooLate)
}

/// The patterns of this process; from now on there are no others.
pub(crate) fn all() -> &'static [Pattern] {
    PATTERNS.get_or_init(Vec::new)
}

/// The `finds` and those of the patterns, in order and without overlaps.
pub(crate) fn merged(text: &str, finds: impl Iterator<Item = Found>, patterns: &[Pattern]) -> Vec<Found> {
    let mut all: Vec<Found> = finds.collect();
    for pattern in patterns {
        let mut from = 0;
        while let Some(rest) = text.get(from..)
            && let Some(range) = (pattern.find)(rest).filter(|range| !range.is_empty())
        {
            let range = from + range.start..from + range.end;
            from = range.end;
            // A range within a character, or beyond the text, masks nothing.
            if text.get(range.clone()).is_some() {
                all.push(Kind::Custom(pattern.replacement).at(range));
            }
        }
    }
    all.sort_by_key(|found| found.range.start);
    let mut end = 0;
    all.retain(|found| {
        let is_behind = found.range.start >= end;
        if is_behind {
            end = found.range.end;
        }
        is_behind
    });
    all
}
