//! Trace and span ids: 16 and 8 bytes, written as lower-case hex, not all zero (W3C Trace Context).

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

pub type TraceId = Id<16>;

/// Unique within its trace.
pub type SpanId = Id<8>;

/// An id of `N` bytes of which at least one is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<const N: usize>([u8; N]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is {digits} hexadecimal digits, not all zero")]
pub struct InvalidId {
    digits: usize,
}

impl<const N: usize> Id<N> {
    /// `None` if the number of bytes is wrong or all are zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; N] = bytes.try_into().ok()?;
        (bytes != [0; N]).then_some(Self(bytes))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Id<16> {
    pub(crate) fn as_u128(&self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<const N: usize> FromStr for Id<N> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { digits: N * 2 };
        // `from_str_radix` alone would accept a sign and a shorter text.
        if text.len() != N * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| invalid)?;
        let bytes = number.to_be_bytes();
        bytes
            .last_chunk()
            .and_then(|bytes: &[u8; N]| Self::from_bytes(bytes))
            .ok_or(invalid)
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_parses_what_it_prints() {
        let id: TraceId = "0AF7651916cd43dd8448eb211c80319c".parse().unwrap();
        assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn zeros_and_other_texts_are_not_ids() {
        for text in [
            "",
            "0000000000000000",
            "b7ad6b716920333",
            "b7ad6b71692033311",
            "+7ad6b7169203331",
            "é7ad6b716920333",
        ] {
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
    }
}
