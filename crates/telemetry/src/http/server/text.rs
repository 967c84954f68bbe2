//! Texts of the client in spans.

/// The longest path, query or header in a span, in bytes.
const MAX_ATTRIBUTE_LEN: usize = 2_048;

/// At most [`MAX_ATTRIBUTE_LEN`] of a text from the client: the queue of spans is bounded by their number,
/// not by their size. A text is masked here before it is cut, so that no half of a secret remains; the whole
/// span is masked when it ends.
pub(super) fn truncated(text: &str) -> String {
    if text.len() <= MAX_ATTRIBUTE_LEN {
        text.to_owned()
    } else {
        mask::prefix(text, MAX_ATTRIBUTE_LEN).into_owned()
    }
}
