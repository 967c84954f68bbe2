//! The opaque cursor for the next page. It encodes the last order of a page, but clients must not rely on
//! that.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::OrderId;
use uuid::Uuid;

/// The position after one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor(OrderId);

impl Cursor {
    pub(super) fn after(order: OrderId) -> Self {
        Self(order)
    }

    /// The last order of the page before.
    pub(super) fn order(self) -> OrderId {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_uuid()))
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ())?;
        let uuid = Uuid::from_slice(&bytes).map_err(|_| ())?;
        Ok(Self(uuid.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_anything_else_is_refused() {
        let cursor = Cursor::after(OrderId::generate());
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", "AAAA", "0192e4a0-0000-7000-8000-000000000000"] {
            assert_eq!(text.parse::<Cursor>(), Err(()), "{text}");
        }
    }
}
