//! Telephone numbers: international with a `+`, and national where their grouping tells them from other numbers. Ten bare digits
//! may be anything and stay, unless their name says what they are.

use super::scan::{Groups, byte, byte_before, is_alphanumeric, run, starts};
use super::{Found, Kind};

/// The most and the fewest digits of an international number (ITU-T E.164).
const MOST: usize = 15;
const FEWEST: usize = 7;

/// `+44 20 7946 0958`; the plus sign is `width` bytes at `index`.
pub(super) fn international(text: &[u8], index: usize, width: usize) -> Option<Found> {
    if is_alphanumeric(byte_before(text, index)) {
        return None;
    }
    let mut digits = 0;
    let mut end = index;
    let mut at = index + width;
    let dotted = byte(text, run(text, at, |byte| byte.is_ascii_digit())) == b'.';
    // No country's code starts with 0, so this is no offset from UTC.
    if !matches!(byte(text, at), b'1'..=b'9') {
        return None;
    }
    let north_american = byte(text, at) == b'1';
    loop {
        let group = run(text, at, |byte| byte.is_ascii_digit());
        if group == at || digits + (group - at) > MOST || goes_on(text, group, dotted) {
            break;
        }
        digits += group - at;
        let complete = match end == index {
            true => digits >= 10,
            false => north_american && digits >= 11,
        };
        end = group;
        at = separators(text, group, dotted);
        if at == group || complete {
            break;
        }
    }
    (digits >= FEWEST).then(|| Kind::Phone.at(index..end))
}

/// `(415) 555-2671`; the parenthesis is at `index`.
pub(super) fn in_parentheses(text: &[u8], index: usize) -> Option<Found> {
    let area = run(text, index + 1, |byte| byte.is_ascii_digit());
    if area != index + 4 || byte(text, area) != b')' {
        return None;
    }
    let rest = match byte(text, area + 1) {
        b' ' => area + 2,
        _ => area + 1,
    };
    let groups = Groups::read(text, rest, |byte| matches!(byte, b' ' | b'-' | b'.'));
    let end = groups.shaped(&[3, 4])?;
    (!is_alphanumeric(byte(text, end))).then(|| Kind::Phone.at(index..end))
}

/// `415-555-2671`, `1 415 555 2671`, `020 7946 0958`, `06 12 34 56 78`; the first digit is at `index`.
pub(super) fn national(text: &[u8], index: usize) -> Option<Found> {
    let before = byte_before(text, index);
    if is_alphanumeric(before) || b".-/:+%#,".contains(&before) {
        return None;
    }
    let groups = Groups::read(text, index, |byte| matches!(byte, b' ' | b'-' | b'.' | b'/'));
    let end = match byte(text, index) {
        b'0' => trunk(&groups)?,
        b'1' => groups.shaped(&[1, 3, 3, 4])?,
        b'2'..=b'9' => groups.shaped(&[3, 3, 4])?,
        _ => return None,
    };
    (!goes_on(text, end, false)).then(|| Kind::Phone.at(index..end))
}

/// A number behind the trunk prefix 0, in two groups or more. A date such as 01-02-2026 is none.
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
    let date = groups.shaped(&[2, 2, 4]).is_some();
    last.filter(|_| digits >= 9 && !date)
}

/// Whether what ends at `end` is only a part of a word, a decimal number or a time.
fn goes_on(text: &[u8], end: usize, dotted: bool) -> bool {
    let next = byte(text, end);
    let number_follows = byte(text, end + 1).is_ascii_digit();
    is_alphanumeric(next) || (number_follows && (next == b':' || (next == b'.' && !dotted)))
}

/// Where the next group of digits starts: behind a separator, or behind `) ` and ` (`.
fn separators(text: &[u8], at: usize, dotted: bool) -> usize {
    let is_separator = |byte: u8| match dotted {
        true => byte == b'.',
        false => matches!(byte, b' ' | b'-' | b'(' | b')' | b'/'),
    };
    if starts(text, at, b"%20") {
        return at + 3;
    }
    let end = run(text, at, is_separator);
    match end - at {
        1 | 2 => end,
        _ => at,
    }
}
