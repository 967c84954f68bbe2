//! One pass over the bytes of a text. Most bytes cannot start anything and cost one look at a table; the others are the anchors
//! at which the rules look around: `@`, `%`, `+`, `(`, `=`, `:`, and the first letter or digit of a word.

use super::{Found, card, email, phone, secret};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Letter,
    Digit,
    Anchor,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Plain; 256];
    let mut rest: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    while let [byte, tail @ ..] = rest {
        set(&mut classes, *byte, Class::Letter);
        rest = tail;
    }
    rest = b"0123456789";
    while let [byte, tail @ ..] = rest {
        set(&mut classes, *byte, Class::Digit);
        rest = tail;
    }
    rest = b"@%+(=:";
    while let [byte, tail @ ..] = rest {
        set(&mut classes, *byte, Class::Anchor);
        rest = tail;
    }
    classes
}

/// Indexing by a byte cannot be out of bounds, and a `const fn` has no other way.
#[allow(clippy::indexing_slicing, clippy::as_conversions)]
const fn set(classes: &mut [Class; 256], byte: u8, class: Class) {
    classes[byte as usize] = class;
}

fn class(byte: u8) -> Class {
    CLASSES
        .get(usize::from(byte))
        .copied()
        .unwrap_or(Class::Plain)
}

/// The first thing to mask that ends after `from`; it does not start before `from`.
pub(super) fn find(text: &[u8], from: usize) -> Option<Found> {
    let mut before = from.checked_sub(1).map_or(0, |index| byte(text, index));
    for (index, &here) in text.iter().enumerate().skip(from) {
        let found = match class(here) {
            Class::Plain => None,
            Class::Letter if is_word(before) => None,
            Class::Letter => secret::token(text, index),
            Class::Digit if is_word(before) => None,
            Class::Digit => card::starting(text, index).or_else(|| phone::national(text, index)),
            Class::Anchor => anchored(text, index, from, here),
        };
        if found.is_some() {
            return found;
        }
        before = here;
    }
    None
}

fn anchored(text: &[u8], index: usize, from: usize, here: u8) -> Option<Found> {
    match here {
        b'@' => {
            secret::user_info(text, index, from).or_else(|| email::around(text, index, 1, from))
        }
        b'%' if starts(text, index, b"%40") => email::around(text, index, 3, from),
        b'%' if starts_ignoring_case(text, index, b"%2b") => phone::international(text, index, 3),
        b'+' => phone::international(text, index, 1),
        b'(' => phone::in_parentheses(text, index),
        b'=' | b':' => secret::keyed(text, index, from),
        _ => None,
    }
}

/// The byte at `index`; 0 beyond the end.
pub(super) fn byte(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The byte before `index`; 0 at the start.
pub(super) fn byte_before(text: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| byte(text, index))
}

/// Whether the byte belongs to a word, an identifier or a number.
pub(super) fn is_word(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Digit)
}

pub(super) fn starts(text: &[u8], index: usize, with: &[u8]) -> bool {
    text.get(index..).is_some_and(|rest| rest.starts_with(with))
}

/// `with` must be lower-case.
pub(super) fn starts_ignoring_case(text: &[u8], index: usize, with: &[u8]) -> bool {
    text.get(index..index + with.len())
        .is_some_and(|here| here.eq_ignore_ascii_case(with))
}

/// The end of the run of bytes from `start` that `is_part` accepts.
pub(super) fn run(text: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let length = text
        .iter()
        .skip(start)
        .take_while(|byte| is_part(**byte))
        .count();
    start + length
}

/// The start of the run of bytes up to `end` that `is_part` accepts, not before `from`.
pub(super) fn run_back(
    text: &[u8],
    end: usize,
    from: usize,
    is_part: impl Fn(u8) -> bool,
) -> usize {
    let before = text.get(from..end).unwrap_or_default();
    let length = before
        .iter()
        .rev()
        .take_while(|byte| is_part(**byte))
        .count();
    end - length
}

/// Digits in groups, as people write long numbers.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Length and end of each group.
    groups: [(usize, usize); Self::MAX],
    count: usize,
}

impl Groups {
    /// A card number has at most five groups, a telephone number six.
    const MAX: usize = 8;

    /// Reads groups of digits from `start`, with one separator between two that `is_separator` accepts.
    pub(super) fn read(text: &[u8], start: usize, is_separator: impl Fn(u8) -> bool) -> Self {
        let mut groups = Self::default();
        let mut at = start;
        for slot in &mut groups.groups {
            let end = run(text, at, |byte| byte.is_ascii_digit());
            if end == at {
                break;
            }
            *slot = (end - at, end);
            groups.count += 1;
            match is_separator(byte(text, end)) {
                true => at = end + 1,
                false if starts(text, end, b"%20") => at = end + 3,
                false => break,
            }
        }
        groups
    }

    /// Length and end of each group.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.groups.into_iter().take(self.count)
    }

    /// The digits of the groups up to `end`, last first.
    pub(super) fn digits_back<'a>(
        &'a self,
        text: &'a [u8],
        end: usize,
    ) -> impl Iterator<Item = u8> + 'a {
        let groups = self.groups.get(..self.count).unwrap_or_default();
        groups
            .iter()
            .rev()
            .filter(move |(_, group_end)| *group_end <= end)
            .filter_map(move |(length, group_end)| text.get(group_end - length..*group_end))
            .flat_map(|group| group.iter().rev().copied())
    }

    /// Whether the first groups have these lengths; then where the last of them ends.
    pub(super) fn shaped(&self, lengths: &[usize]) -> Option<usize> {
        let same = self.count >= lengths.len()
            && self
                .iter()
                .zip(lengths)
                .all(|((length, _), wanted)| length == *wanted);
        same.then(|| self.iter().nth(lengths.len().checked_sub(1)?))
            .flatten()
            .map(|(_, end)| end)
    }
}
