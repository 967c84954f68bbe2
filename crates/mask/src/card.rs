//! Card numbers: 13 to 19 digits, bare or in the groups that are printed on cards, that satisfy Luhn's
//! formula (ISO/IEC 7812-1, annex B). They start with 2 to 6, as those of all payment networks do. Times
//! since 1970 in any unit start with 1, calendar times with 20.

use crate::bytes::{byte, byte_before, run, run_back};
use crate::found::{Found, Kind};
use crate::groups::Groups;

const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// The groupings that payment networks print on cards.
const GROUPINGS: &[&[usize]] = &[
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 1],
    &[4, 5, 6],
];

/// The card number whose first digit is at `index`.
pub(crate) fn starting(text: &[u8], index: usize) -> Option<Found> {
    if !matches!(byte(text, index), b'2'..=b'6') || is_fraction(text, index) {
        return None;
    }
    // Most numbers are too short or too long, and not read further.
    let first = run(text, index, |byte| byte.is_ascii_digit()) - index;
    let is_bare = (MIN_DIGITS..=MAX_DIGITS).contains(&first);
    if first != 4 && !is_bare {
        return None;
    }
    let groups = Groups::read(text, index, b" -+._\t", 3);
    let grouped = GROUPINGS.iter().filter_map(|lengths| groups.end_of(lengths));
    is_bare
        .then_some(index + first)
        .into_iter()
        .chain(grouped)
        .find(|end| {
            let digits = || groups.digits_back(text, *end);
            is_issued(byte(text, index), byte(text, index + 1), digits().count())
                && luhn(digits())
                && stands_alone(text, index, *end)
        })
        .map(|end| Kind::Card.at(index..end))
}

/// Whether the integer is a valid card number.
pub(crate) fn is_number(number: u64) -> bool {
    // Most integers have fewer than 13 digits, and return before one is formatted, which allocates.
    if number < 2_000_000_000_000 {
        return false;
    }
    let text = number.to_string();
    let digits = text.as_bytes();
    is_issued(byte(digits, 0), byte(digits, 1), digits.len()) && luhn(text.bytes().rev())
}

/// Whether a network issues numbers of this length with these first two digits. Those that start with 2 have
/// at least 16 digits, the second of which is 2 to 7, unlike a time such as 20260102030405.
fn is_issued(first: u8, second: u8, digits: usize) -> bool {
    match first {
        b'2' => matches!(second, b'2'..=b'7') && (16..=MAX_DIGITS).contains(&digits),
        _ => matches!(first, b'3'..=b'6') && (MIN_DIGITS..=MAX_DIGITS).contains(&digits),
    }
}

/// Whether `index` is behind a decimal point, as in 0.30000000000000004.
fn is_fraction(text: &[u8], index: usize) -> bool {
    byte_before(text, index) == b'.' && byte_before(text, index - 1).is_ascii_digit()
}

/// Whether the digits are not part of something else. Digits with a fraction are an amount. Digits next to
/// hexadecimal letters are part of an id, and so is a group behind a hexadecimal one, as in a `traceparent`.
/// Other letters are a word next to the number.
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

/// Luhn's formula over the digits, last digit first.
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
