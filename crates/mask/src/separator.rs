//! What people and programs put between the groups of a number: a sign, a space of any kind, or its
//! percent-encoding, also nested.

use crate::bytes::byte;
use crate::encoded::Encoded;

/// The width of the separator at `at`: one of the ASCII `signs`, a space or a dash of Unicode, or one of
/// these percent-encoded. 0 for anything else.
pub(crate) fn width(text: &[u8], at: usize, signs: &[u8]) -> usize {
    let first = byte(text, at);
    if signs.contains(&first) {
        return 1;
    }
    if first != b'%' && first.is_ascii() {
        return 0;
    }
    let Some((first, mut end)) = decoded(text, at) else {
        return 0;
    };
    // The byte that follows, decoded.
    let mut next = || {
        let (byte, behind) = decoded(text, end)?;
        end = behind;
        Some(byte)
    };
    let is_separator = match first {
        b' ' | b'\t' | b'-' => true,
        // U+00A0 NO-BREAK SPACE
        0xc2 => next() == Some(0xa0),
        // U+2000 to U+200B spaces, U+2010 to U+2015 dashes, U+202F NARROW NO-BREAK SPACE
        0xe2 => next() == Some(0x80) && matches!(next(), Some(0x80..=0x8b | 0x90..=0x95 | 0xaf)),
        // U+3000 IDEOGRAPHIC SPACE
        0xe3 => next() == Some(0x80) && next() == Some(0x80),
        sign => signs.contains(&sign),
    };
    if is_separator { end - at } else { 0 }
}

/// The byte at `at`, plain or encoded, and where it ends.
fn decoded(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match Encoded::at(text, at) {
        Some(encoded) => Some((encoded.byte, at + encoded.width)),
        None => text.get(at).map(|byte| (*byte, at + 1)),
    }
}
