//! Percent-encoding, also nested: a URL in the query of a URL.

use crate::bytes::byte;

/// A percent-encoded byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) byte: u8,
    pub(crate) width: usize,
    /// How many times it is encoded: 1 for `%40`, 2 for `%2540`.
    pub(crate) depth: usize,
}

impl Encoded {
    /// A URL in a URL in a URL.
    const MAX_DEPTH: usize = 3;

    /// Decodes the byte whose `%` is at `index`.
    pub(crate) fn at(text: &[u8], index: usize) -> Option<Self> {
        if byte(text, index) != b'%' {
            return None;
        }
        for depth in 1..=Self::MAX_DEPTH {
            let width = 2 * depth + 1;
            let digit = |back: usize| char::from(byte(text, index + width - back)).to_digit(16);
            let value = u8::try_from(digit(2)? * 16 + digit(1)?).ok()?;
            // An encoded percent sign may be that of another encoded byte.
            if value != b'%' {
                return Some(Self {
                    byte: value,
                    width,
                    depth,
                });
            }
        }
        None
    }

    /// The start of the authority of a URL, if this byte at `index` is the colon of its `://`.
    pub(crate) fn authority(self, text: &[u8], index: usize) -> Option<usize> {
        let slash = |at| Self::at(text, at).filter(|it| it.byte == b'/' && it.depth == self.depth);
        let first = index + self.width;
        let second = first + slash(first)?.width;
        Some(second + slash(second)?.width)
    }
}
