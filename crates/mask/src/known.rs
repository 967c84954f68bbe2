//! Short texts that were found clean before. The names of attributes and most of their values are the same few again and again,
//! and to see that a text is one of these takes less time than to look for secrets in it.

use std::cell::RefCell;
use std::thread::LocalKey;

/// The longest text that is remembered, in bytes. Ids are longer, and would push the others out.
const LONGEST: usize = 32;
/// How many texts a thread remembers. One that comes to another's place takes it.
const PLACES: usize = 256;

thread_local! {
    /// Names of fields whose values may be shown.
    pub(super) static NAMES: RefCell<Texts> = const { RefCell::new(Texts::NONE) };
    /// Texts without secrets.
    pub(super) static TEXTS: RefCell<Texts> = const { RefCell::new(Texts::NONE) };
}

#[derive(Debug)]
pub(super) struct Texts([Place; PLACES]);

#[derive(Debug, Clone, Copy)]
struct Place {
    length: usize,
    bytes: [u8; LONGEST],
}

/// Whether the text is remembered.
pub(super) fn is_known(texts: &'static LocalKey<RefCell<Texts>>, text: &str) -> bool {
    let text = text.as_bytes();
    texts.with_borrow(|Texts(places)| {
        let place = places.get(place(text));
        place.and_then(|place| place.bytes.get(..place.length)) == Some(text)
    })
}

/// Remembers a text, if it is short.
pub(super) fn remember(texts: &'static LocalKey<RefCell<Texts>>, text: &str) {
    let text = text.as_bytes();
    texts.with_borrow_mut(|Texts(places)| {
        let Some(place) = places.get_mut(place(text)) else {
            return;
        };
        if let Some(bytes) = place.bytes.get_mut(..text.len()) {
            bytes.copy_from_slice(text);
            place.length = text.len();
        }
    });
}

/// Where a text is kept: by its length, its start and its end, which tell the names of the conventions apart.
fn place(text: &[u8]) -> usize {
    let (start, end) = match (text.first_chunk(), text.last_chunk()) {
        (Some(start), Some(end)) => (u32::from_le_bytes(*start), u32::from_le_bytes(*end)),
        _ => {
            let number = |byte: Option<&u8>| byte.copied().map_or(0, u32::from);
            (number(text.first()), number(text.last()))
        }
    };
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    // Multiplicative hashing: the highest bits of the product depend on all bits of the factor.
    let product = (start ^ end.rotate_left(16) ^ length).wrapping_mul(0x9e37_79b1);
    let [.., highest] = product.to_le_bytes();
    usize::from(highest)
}

impl Texts {
    const NONE: Self = Self(
        [Place {
            length: 0,
            bytes: [0; LONGEST],
        }; PLACES],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_once_it_is_remembered_and_no_other_is() {
        let texts = ["", "a", "abc", "order.status", "order.statut", "x.order.status"];
        for text in texts {
            assert_eq!(is_known(&TEXTS, text), text.is_empty(), "{text}");
            remember(&TEXTS, text);
            assert!(is_known(&TEXTS, text), "{text}");
            assert!(!is_known(&NAMES, text) || text.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_not_remembered() {
        let text = "x".repeat(LONGEST + 1);
        remember(&TEXTS, &text);
        assert!(!is_known(&TEXTS, &text));
    }
}
