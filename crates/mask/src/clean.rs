//! Short texts that a thread found clean before. The names of attributes and most of their values repeat, and
//! a lookup takes less time than a scan: the attributes of a request take 1.0 µs instead of 2.8 µs
//! (`cargo bench -p throughline-mask attributes_of_a_request`).

use std::cell::RefCell;

/// Longer texts are mostly ids, which do not repeat.
const MAX_LENGTH: usize = 32;
/// A power of two; the hash has as many bits.
const SLOTS: usize = 256;

thread_local! {
    /// Names that are not sensitive.
    pub(crate) static NAMES: RefCell<CleanTexts> = const { RefCell::new(CleanTexts::EMPTY) };
    /// Texts without secrets.
    pub(crate) static TEXTS: RefCell<CleanTexts> = const { RefCell::new(CleanTexts::EMPTY) };
}

/// One text for each hash. A new one replaces the one before.
#[derive(Debug)]
pub(crate) struct CleanTexts([Slot; SLOTS]);

#[derive(Debug, Clone, Copy)]
struct Slot {
    length: usize,
    bytes: [u8; MAX_LENGTH],
}

impl CleanTexts {
    const EMPTY: Self = Self(
        [Slot {
            length: 0,
            bytes: [0; MAX_LENGTH],
        }; SLOTS],
    );

    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        let slot = self.0.get(hash(text));
        slot.and_then(|slot| slot.bytes.get(..slot.length)) == Some(text)
    }

    /// Does nothing if the text is long.
    pub(crate) fn insert(&mut self, text: &[u8]) {
        let Some(slot) = self.0.get_mut(hash(text)) else {
            return;
        };
        if let Some(bytes) = slot.bytes.get_mut(..text.len()) {
            bytes.copy_from_slice(text);
            slot.length = text.len();
        }
    }
}

/// Hashes the length and the first and last four bytes, in which names of the semantic conventions differ.
fn hash(text: &[u8]) -> usize {
    let [start, end] = match (text.first_chunk(), text.last_chunk()) {
        (Some(start), Some(end)) => [start, end].map(|bytes| u32::from_le_bytes(*bytes)),
        _ => [text.first(), text.last()].map(|byte| byte.copied().map_or(0, u32::from)),
    };
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    // Multiplicative hashing: the highest bits of the product depend on all bits of the factor.
    let product = (start ^ end.rotate_left(16) ^ length).wrapping_mul(0x9e37_79b1);
    let [.., highest] = product.to_le_bytes();
    usize::from(highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_after_it_is_inserted_and_no_other_is() {
        let mut texts = CleanTexts::EMPTY;
        for text in ["", "a", "abc", "order.status", "order.statut", "x.order.status"] {
            assert_eq!(texts.contains(text.as_bytes()), text.is_empty(), "{text}");
            texts.insert(text.as_bytes());
            assert!(texts.contains(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_not_inserted() {
        let mut texts = CleanTexts::EMPTY;
        let text = [b'x'; MAX_LENGTH + 1];
        texts.insert(&text);
        assert!(!texts.contains(&text));
    }
}
