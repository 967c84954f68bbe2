//! Card numbers: 13 to 19 digits, bare or in the groups that are printed on cards, whose last digit is right by Luhn's formula
//! (ISO/IEC 7812-1, annex B). They start with 2 to 6, as those of all payment networks do; times in any unit start with 1.

use super::scan::{Groups, byte, byte_before, is_word};
use super::{Found, Kind};

/// How networks group the digits.
const SHAPES: &[&[usize]] = &[
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 1],
    &[4, 5, 6],
];

/// The card number whose first digit is at `index`, the start of a word.
pub(super) fn starting(text: &[u8], index: usize) -> Option<Found> {
    if !matches!(byte(text, index), b'2'..=b'6') || is_fraction(text, index) {
        return None;
    }
    let groups = Groups::read(text, index, |byte| {
        matches!(byte, b' ' | b'-' | b'+' | b'.')
    });
    let bare = groups
        .iter()
        .next()
        .filter(|(length, _)| (13..=19).contains(length));
    let shaped = SHAPES.iter().filter_map(|shape| groups.shaped(shape));
    bare.map(|(_, end)| end)
        .into_iter()
        .chain(shaped)
        .find(|end| stands_alone(text, index, *end) && luhn(groups.digits_back(text, *end)))
        .map(|end| Kind::Card.at(index..end))
}

/// A whole number that could be a card's.
pub(super) fn is_number(number: i64) -> bool {
    // 13 digits at least.
    number >= 2_000_000_000_000 && {
        let text = number.to_string();
        matches!(byte(text.as_bytes(), 0), b'2'..=b'6') && luhn(text.bytes().rev())
    }
}

/// The digits behind a decimal point, such as those of 0.30000000000000004.
fn is_fraction(text: &[u8], index: usize) -> bool {
    byte_before(text, index) == b'.' && byte_before(text, index - 1).is_ascii_digit()
}

/// A part of a word or a number with a fraction is no card number, and neither is one group among hexadecimal ones, as in a
/// `traceparent`.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let fraction = byte(text, end) == b'.' && byte(text, end + 1).is_ascii_digit();
    let hexadecimal = byte_before(text, start) == b'-'
        && text
            .get(start.saturating_sub(33)..start.saturating_sub(1))
            .is_some_and(|before| before.len() == 32 && before.iter().all(u8::is_ascii_hexdigit));
    !is_word(byte(text, end)) && !fraction && !hexadecimal
}

/// Takes the digits last first.
fn luhn(digits_back: impl Iterator<Item = u8>) -> bool {
    let sum: u32 = digits_back
        .zip([false, true].into_iter().cycle())
        .map(|(byte, doubled)| match (u32::from(byte - b'0'), doubled) {
            (digit, false) => digit,
            (digit, true) if digit > 4 => 2 * digit - 9,
            (digit, true) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}
