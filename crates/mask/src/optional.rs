//! Numbers of accounts and persons, by option: whether they are secrets depends on the program and its
//! country.

use std::ops::Range;

use crate::pattern::Pattern;

/// International bank account numbers (ISO 13616), bare or in groups of four, with the right check digits.
pub const IBAN: Pattern = Pattern {
    replacement: "[iban]",
    find: |text| find(text, |byte| byte.is_ascii_uppercase(), iban),
};

/// National numbers of persons with a form of their own: social security numbers of the United States
/// (`123-45-6789`), national insurance numbers of the United Kingdom (`AB123456C`), DNI and NIE of Spain
/// (`12345678Z`, with the right letter).
pub const NATIONAL_ID: Pattern = Pattern {
    replacement: "[id]",
    find: |text| find(text, |byte| byte.is_ascii_alphanumeric(), national_id),
};

/// The first word from which `length` finds a number that no letter or digit follows.
fn find(text: &str, is_start: fn(u8) -> bool, length: fn(&[u8]) -> Option<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut before = b' ';
    for (index, &byte) in bytes.iter().enumerate() {
        if !before.is_ascii_alphanumeric() && is_start(byte) {
            let rest = bytes.get(index..)?;
            let found = length(rest).filter(|end| !rest.get(*end).is_some_and(u8::is_ascii_alphanumeric));
            if let Some(length) = found {
                return Some(index..index + length);
            }
        }
        before = byte;
    }
    None
}

/// At most 34 letters and digits, a space behind each fourth.
fn iban(text: &[u8]) -> Option<usize> {
    let (mut count, mut end) = (0, 0);
    let mut letters = [0; 34];
    for (slot, at) in letters.iter_mut().zip(0_usize..) {
        if at > 0 && at.is_multiple_of(4) && text.get(end) == Some(&b' ') && follows(text, end) {
            end += 1;
        }
        match text.get(end) {
            Some(byte) if byte.is_ascii_digit() || byte.is_ascii_uppercase() => *slot = *byte,
            _ => break,
        }
        end += 1;
        count = at + 1;
    }
    let letters = letters.get(..count)?;
    let (head, account) = letters.split_at_checked(4)?;
    let is_iban = count >= 15
        && head.iter().take(2).all(u8::is_ascii_uppercase)
        && head.iter().skip(2).all(u8::is_ascii_digit)
        && account.iter().chain(head).fold(0, remainder) == 1;
    is_iban.then_some(end)
}

/// Whether the space at `at` is inside of a number: what follows is a group of capitals and digits.
fn follows(text: &[u8], at: usize) -> bool {
    let group = text.get(at + 1..).unwrap_or_default();
    let group = group.iter().take_while(|byte| byte.is_ascii_alphanumeric());
    let (count, lower) = group.fold((0, false), |(count, lower), byte| {
        (count + 1, lower || byte.is_ascii_lowercase())
    });
    (1..=4).contains(&count) && !lower
}

/// ISO 7064, MOD 97-10: letters count as 10 to 35.
fn remainder(remainder: u32, byte: &u8) -> u32 {
    match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    }
}

fn national_id(text: &[u8]) -> Option<usize> {
    social_security(text)
        .or_else(|| national_insurance(text))
        .or_else(|| dni(text))
}

/// Area 000, 666 and 900 to 999, group 00 and serial 0000 are never assigned.
fn social_security(text: &[u8]) -> Option<usize> {
    let [a, b, c, b'-', d, e, b'-', serial @ ..] = text.first_chunk::<11>()? else {
        return None;
    };
    let (area, group) = ([*a, *b, *c], [*d, *e]);
    let is_number = area.iter().chain(&group).chain(serial).all(u8::is_ascii_digit);
    let is_assigned =
        *a != b'9' && area != *b"000" && area != *b"666" && group != *b"00" && serial != b"0000";
    (is_number && is_assigned).then_some(11)
}

/// Two letters, six digits and A to D; spaces between pairs are usual.
fn national_insurance(text: &[u8]) -> Option<usize> {
    let mut end = 0;
    for place in 0..9 {
        if matches!(place, 2 | 4 | 6 | 8) && text.get(end) == Some(&b' ') {
            end += 1;
        }
        let byte = text.get(end)?;
        let is_right = match place {
            0 | 1 => byte.is_ascii_uppercase() && !b"DFIQUV".contains(byte),
            8 => (b'A'..=b'D').contains(byte),
            _ => byte.is_ascii_digit(),
        };
        if !is_right {
            return None;
        }
        end += 1;
    }
    Some(end)
}

/// Eight digits, or X, Y or Z and seven, and the letter that their remainder by 23 gives.
fn dni(text: &[u8]) -> Option<usize> {
    let [first, rest @ .., letter] = text.first_chunk::<9>()?;
    let first = match first {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        b'0'..=b'9' => u32::from(first - b'0'),
        _ => return None,
    };
    let number = rest.iter().try_fold(first, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u32::from(byte - b'0'))
    })?;
    let right = b"TRWAGMYFPDXBNJZSQVHLCKE".get(usize::try_from(number % 23).ok()?);
    (right == Some(letter)).then_some(9)
}
