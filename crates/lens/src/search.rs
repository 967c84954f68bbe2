//! What a search of the store takes and returns.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::query::Query;

/// Which traces to list. The default has a limit of [`TraceSearch::LIMIT`].
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSearch {
    pub query: Query,
    /// When the first span started, in nanoseconds since the Unix epoch.
    pub started: Range<u64>,
    /// The most traces of the page.
    pub limit: usize,
    /// `next` of the previous page.
    pub after: Option<Cursor>,
}

/// Which log records to list. The default has a limit of [`LogSearch::LIMIT`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogSearch {
    pub query: Query,
    /// In nanoseconds since the Unix epoch.
    pub recorded: Range<u64>,
    /// The most records of the page.
    pub limit: usize,
    /// `next` of the previous page.
    pub after: Option<Cursor>,
}

/// A page of results, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    #[serde(rename = "data")]
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<Cursor>,
    /// Whether the search ended because it had examined as much as one search may. There may be more
    /// results, which a search after `next` finds.
    pub partial: bool,
}

/// A place in the order of traces or log records: a time, and which of those of the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) unix_nano: u64,
    pub(crate) tie: u128,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the `next` of a page")]
pub struct InvalidCursor;

impl<T> Page<T> {
    /// The page with each item converted.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next: self.next,
            partial: self.partial,
        }
    }
}

impl TraceSearch {
    pub const LIMIT: usize = 50;
}

impl LogSearch {
    pub const LIMIT: usize = 200;
}

impl Default for TraceSearch {
    fn default() -> Self {
        Self {
            query: Query::default(),
            started: 0..u64::MAX,
            limit: Self::LIMIT,
            after: None,
        }
    }
}

impl Default for LogSearch {
    fn default() -> Self {
        Self {
            query: Query::default(),
            recorded: 0..u64::MAX,
            limit: Self::LIMIT,
            after: None,
        }
    }
}

impl Cursor {
    /// Precedes everything at `unix_nano` and after it, newest first.
    pub(crate) fn before(unix_nano: u64) -> Self {
        Self { unix_nano, tie: 0 }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.unix_nano, self.tie)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (time, tie) = text.split_once('-').ok_or(InvalidCursor)?;
        Ok(Self {
            unix_nano: time.parse().map_err(|_| InvalidCursor)?,
            tie: u128::from_str_radix(tie, 16).map_err(|_| InvalidCursor)?,
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_parses_what_it_prints() {
        let cursor = Cursor {
            unix_nano: u64::MAX,
            tie: u128::MAX,
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "-", "1-", "1-g", "a-1"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor));
        }
    }
}
