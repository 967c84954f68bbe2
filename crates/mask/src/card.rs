//! Card numbers: 13 to 19 digits, bare or in the groups that are printed on cards, whose last digit is right by Luhn's formula
//! (ISO/IEC 7812-1, annex B). They start with 2 to 6, as those of all payment networks do; times since 1970 in any unit start with
//! 1, those of the calendar with 20.

use super::scan::{Groups, byte, byte_before, run, run_back};
use super::{Found, Kind};

/// The fewest and the most digits.
const LEAST: usize = 13;
const MOST: usize = 19;

/// How networks group the digits.
const SHAPES: &[&[usize]] = &[
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 1],
    &[4, 5, 6],
];

/// The card number whose first digit is at `index`.
pub(super) fn starting(text: &[u8], index: usize) -> Option<Found> {
    if !matches!(byte(text, index), b'2'..=b'6') || is_fraction(text, index) {
        return None;
    }
    // Most numbers are too short to be read on.
    let first = run(text, index, |byte| byte.is_ascii_digit()) - index;
    let is_bare = (LEAST..=MOST).contains(&first);
    if first != 4 && !is_bare {
        return None;
    }
    let groups = Groups::read(text, index, |byte| {
        matches!(byte, b' ' | b'-' | b'+' | b'.' | b'_')
    });
    let shaped = SHAPES.iter().filter_map(|shape| groups.shaped(shape));
    is_bare
        .then_some(index + first)
        .into_iter()
        .chain(shaped)
        .find(|end| {
            let digits = || groups.digits_back(text, *end);
            is_issued(byte(text, index), byte(text, index + 1), digits().count())
                && luhn(digits())
                && stands_alone(text, index, *end)
        })
        .map(|end| Kind::Card.at(index..end))
}

/// A whole number that could be a card's.
pub(super) fn is_number(number: u64) -> bool {
    // 13 digits at least.
    number >= 2_000_000_000_000 && {
        let text = number.to_string();
        let digits = text.as_bytes();
        is_issued(byte(digits, 0), byte(digits, 1), digits.len()) && luhn(text.bytes().rev())
    }
}

/// Whether a network issues numbers of so many digits that start with these two. Behind a 2 they have 16 digits or more and go on
/// with 2 to 7; a time such as 20260102030405 does not.
fn is_issued(first: u8, second: u8, digits: usize) -> bool {
    match first {
        b'2' => matches!(second, b'2'..=b'7') && (16..=MOST).contains(&digits),
        _ => matches!(first, b'3'..=b'6') && (LEAST..=MOST).contains(&digits),
    }
}

/// The digits behind a decimal point, such as those of 0.30000000000000004.
fn is_fraction(text: &[u8], index: usize) -> bool {
    byte_before(text, index) == b'.' && byte_before(text, index - 1).is_ascii_digit()
}

/// Digits with a fraction behind them are an amount, those among letters of hexadecimal digits are a part of an id, and so is one
/// group among hexadecimal ones, as in a `traceparent`. Other letters are a word that the number was written to.
fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let fraction = byte(text, end) == b'.' && byte(text, end + 1).is_ascii_digit();
    let grouped = byte_before(text, start) == b'-'
        && text
            .get(start.saturating_sub(33)..start.saturating_sub(1))
            .is_some_and(|before| before.len() == 32 && before.iter().all(u8::is_ascii_hexdigit));
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    let before = text.get(run_back(text, start, 0, is_letter)..start);
    let behind = text.get(end..run(text, end, is_letter));
    let letters = || [before, behind].into_iter().flatten().flatten();
    let hexadecimal = before == Some(b"x") || letters().all(u8::is_ascii_hexdigit);
    !fraction && !grouped && !byte(text, end).is_ascii_digit() && (letters().next().is_none() || !hexadecimal)
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
