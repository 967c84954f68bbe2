//! Telephone numbers: international with a `+`, and national in the usual groups. Ten bare digits can be any
//! number and stay, unless the name before them decides.

use crate::bytes::{byte, byte_before, run};
use crate::found::{Found, Kind};
use crate::groups::Groups;
use crate::separator;

/// The digits of an international number (ITU-T E.164).
const MIN_DIGITS: usize = 7;
const MAX_DIGITS: usize = 15;

/// `+44 20 7946 0958`; the plus sign of `width` bytes is at `index`.
pub(crate) fn international(text: &[u8], index: usize, width: usize) -> Option<Found> {
    if byte_before(text, index).is_ascii_alphanumeric() {
        return None;
    }
    let mut digits = 0;
    let mut end = index;
    let mut at = index + width;
    let dotted = byte(text, run(text, at, |byte| byte.is_ascii_digit())) == b'.';
    // No country code starts with 0, so an offset from UTC is not matched.
    if !matches!(byte(text, at), b'1'..=b'9') {
        return None;
    }
    let north_american = byte(text, at) == b'1';
    loop {
        let group = run(text, at, |byte| byte.is_ascii_digit());
        if group == at || digits + (group - at) > MAX_DIGITS || continues(text, group, dotted) {
            break;
        }
        digits += group - at;
        let is_first_group = end == index;
        let complete = if is_first_group {
            digits >= 10
        } else {
            north_american && digits >= 11
        };
        end = group;
        at = skip_separators(text, group, dotted);
        if at == group || complete {
            break;
        }
    }
    (digits >= MIN_DIGITS).then(|| Kind::Phone.at(index..end))
}

/// `(415) 555-2671`; the parenthesis is at `index`.
pub(crate) fn in_parentheses(text: &[u8], index: usize) -> Option<Found> {
    let area = run(text, index + 1, |byte| byte.is_ascii_digit());
    if area != index + 4 || byte(text, area) != b')' {
        return None;
    }
    let rest = match byte(text, area + 1) {
        b' ' => area + 2,
        _ => area + 1,
    };
    let groups = Groups::read(text, rest, b" -.", 1);
    let end = groups.end_of(&[3, 4])?;
    (!byte(text, end).is_ascii_alphanumeric()).then(|| Kind::Phone.at(index..end))
}

/// `415-555-2671`, `1 415 555 2671`, `020 7946 0958`, `06 12 34 56 78`; the first digit is at `index`.
pub(crate) fn national(text: &[u8], index: usize) -> Option<Found> {
    let before = byte_before(text, index);
    if before.is_ascii_alphanumeric() || b".-/:+%#,".contains(&before) {
        return None;
    }
    let groups = Groups::read(text, index, b" -./", 1);
    let end = match byte(text, index) {
        b'0' => trunk(&groups)?,
        b'1' => groups.end_of(&[1, 3, 3, 4])?,
        b'2'..=b'9' => groups.end_of(&[3, 3, 4])?,
        _ => return None,
    };
    (!continues(text, end, false)).then(|| Kind::Phone.at(index..end))
}

/// The end of a number with the trunk prefix 0, in two groups or more. A date such as 01-02-2026 is not one.
fn trunk(groups: &Groups) -> Option<usize> {
    let mut digits = 0;
    let mut last = None;
    for (index, (length, end)) in groups.iter().enumerate() {
        let plausible = match index {
            0 => (2..=5).contains(&length),
            _ => (2..=8).contains(&length),
        };
        if !plausible || digits + length > 12 {
            break;
        }
        digits += length;
        last = (index > 0).then_some(end);
    }
    let date = groups.end_of(&[2, 2, 4]).is_some();
    last.filter(|_| digits >= 9 && !date)
}

/// Whether the digits before `end` are only part of a word, a decimal number or a time.
fn continues(text: &[u8], end: usize, dotted: bool) -> bool {
    let next = byte(text, end);
    let number_follows = byte(text, end + 1).is_ascii_digit();
    next.is_ascii_alphanumeric() || (number_follows && (next == b':' || (next == b'.' && !dotted)))
}

/// The start of the next group of digits: behind one separator, or behind `) ` or ` (`.
fn skip_separators(text: &[u8], at: usize, dotted: bool) -> usize {
    let separators: &[u8] = if dotted { b"." } else { b" -()/" };
    if matches!(byte(text, at), b'%' | 0x80..) {
        return at + separator::width(text, at, separators);
    }
    let end = run(text, at, |byte| separators.contains(&byte));
    match end - at {
        1 | 2 => end,
        _ => at,
    }
}
