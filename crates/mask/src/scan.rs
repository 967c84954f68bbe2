//! One pass over the bytes of a text. Most bytes cannot start anything and cost one look at a table; the others are the anchors
//! at which the rules look around: `@`, `%`, `+`, `(`, `=`, `:`, and the first letter or digit of a word, where a token may start
//! with that letter.
//!
//! A caller writes what is scanned here, so the work must not grow faster than the text. A rule may look as far as it likes over
//! bytes that it then masks, or that hold no anchor of the same rule; it must never look over the same bytes from many anchors.

use super::{Found, card, email, phone, secret};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    /// Letters and the underscore.
    Letter,
    /// The letters with which tokens start.
    Initial,
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
    rest = secret::INITIALS;
    while let [byte, tail @ ..] = rest {
        set(&mut classes, *byte, Class::Initial);
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
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Plain)
}

/// Finds what is to be masked, from the text's start to its end.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    /// The end of what was found last; nothing that is found later starts before it.
    from: usize,
    /// No JSON web token starts before this: the dots between its parts are missing.
    no_web_token_before: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            from: 0,
            no_web_token_before: 0,
        }
    }

    fn look(&mut self, index: usize, here: u8, class: Class) -> Option<Found> {
        let text = self.text;
        match class {
            Class::Plain | Class::Letter => None,
            Class::Initial if is_alphanumeric(byte_before(text, index)) => None,
            Class::Initial if starts(text, index, b"eyJ") => self.web_token(index),
            Class::Initial => secret::token(text, index),
            Class::Digit if byte_before(text, index).is_ascii_digit() => None,
            Class::Digit => card::starting(text, index).or_else(|| phone::national(text, index)),
            Class::Anchor => self.anchored(index, here),
        }
    }

    fn web_token(&mut self, index: usize) -> Option<Found> {
        if index < self.no_web_token_before {
            return None;
        }
        let end = secret::token_end(self.text, index);
        let found = secret::json_web_token(self.text, index, end);
        if found.is_none() {
            self.no_web_token_before = end;
        }
        found
    }

    fn anchored(&self, index: usize, here: u8) -> Option<Found> {
        let (text, from) = (self.text, self.from);
        match here {
            b'@' => email::around(text, index, 1, from),
            b'+' => phone::international(text, index, 1),
            b'(' => phone::in_parentheses(text, index),
            b':' if starts(text, index, b"://") => secret::user_info(text, index + 3),
            b'=' | b':' => secret::keyed(text, index, from),
            b'%' => {
                let sign = Encoded::at(text, index)?;
                match sign.byte {
                    b'@' => email::around(text, index, sign.width, from),
                    b'+' => phone::international(text, index, sign.width),
                    b'=' => secret::keyed_encoded(text, index, sign, from),
                    b':' => match sign.authority(text, index) {
                        Some(start) => secret::user_info_encoded(text, start, sign.depth),
                        None => secret::keyed_encoded(text, index, sign, from),
                    },
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        for (index, &here) in self.text.iter().enumerate().skip(self.from) {
            count(1);
            let class = class(here);
            if matches!(class, Class::Plain | Class::Letter) {
                continue;
            }
            if let Some(found) = self.look(index, here, class) {
                self.from = found.range.end;
                return Some(found);
            }
        }
        self.from = self.text.len();
        None
    }
}

/// A byte that is percent-encoded, as `%40` is, or encoded again, as `%2540` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) byte: u8,
    pub(super) width: usize,
    /// How often it is encoded.
    pub(super) depth: usize,
}

impl Encoded {
    /// A URL in a URL in a URL.
    const DEEPEST: usize = 3;

    /// The byte that is encoded by the `%` at `index`.
    pub(super) fn at(text: &[u8], index: usize) -> Option<Self> {
        if byte(text, index) != b'%' {
            return None;
        }
        for depth in 1..=Self::DEEPEST {
            let width = 2 * depth + 1;
            let digit = |back: usize| char::from(byte(text, index + width - back)).to_digit(16);
            let value = u8::try_from(digit(2)? * 16 + digit(1)?).ok()?;
            // An encoded percent sign may be that of another encoded byte.
            if value != b'%' {
                return Some(Self {
                    byte: value,
                    width,
                    depth,
                });
            }
        }
        None
    }

    /// Where the authority of a URL starts, if this is the colon at `index` of its `://`.
    fn authority(self, text: &[u8], index: usize) -> Option<usize> {
        let slash = |at| Self::at(text, at).filter(|it| it.byte == b'/' && it.depth == self.depth);
        let first = index + self.width;
        let second = first + slash(first)?.width;
        Some(second + slash(second)?.width)
    }
}

/// The byte at `index`; 0 beyond the end.
pub(super) fn byte(text: &[u8], index: usize) -> u8 {
    count(1);
    text.get(index).copied().unwrap_or(0)
}

/// The byte before `index`; 0 at the start.
pub(super) fn byte_before(text: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| byte(text, index))
}

/// Whether the byte belongs to a word, an identifier or a number.
pub(super) fn is_word(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Initial | Class::Digit)
}

/// Whether the byte belongs to a word without underscores.
pub(super) fn is_alphanumeric(byte: u8) -> bool {
    byte != b'_' && is_word(byte)
}

pub(super) fn starts(text: &[u8], index: usize, with: &[u8]) -> bool {
    count(with.len());
    text.get(index..).is_some_and(|rest| rest.starts_with(with))
}

/// `with` must be lower-case.
pub(super) fn starts_ignoring_case(text: &[u8], index: usize, with: &[u8]) -> bool {
    count(with.len());
    text.get(index..index + with.len())
        .is_some_and(|here| here.eq_ignore_ascii_case(with))
}

/// The end of the run of bytes from `start` that `is_part` accepts.
pub(super) fn run(text: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let length = text.iter().skip(start).take_while(|byte| is_part(**byte)).count();
    count(length + 1);
    start + length
}

/// The start of the run of bytes up to `end` that `is_part` accepts, not before `from`.
pub(super) fn run_back(text: &[u8], end: usize, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let before = text.get(from..end).unwrap_or_default();
    let length = before.iter().rev().take_while(|byte| is_part(**byte)).count();
    count(length + 1);
    end - length
}

/// Counts looks at bytes, for the test that their number does not grow faster than the text.
#[cfg_attr(not(test), expect(unused_variables, reason = "only the test counts"))]
fn count(looks: usize) {
    #[cfg(test)]
    LOOKS.with(|counted| counted.set(counted.get() + looks));
}

#[cfg(test)]
thread_local! {
    /// The looks at bytes on this thread.
    pub(super) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
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
    pub(super) fn digits_back<'a>(&'a self, text: &'a [u8], end: usize) -> impl Iterator<Item = u8> + 'a {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller may write into a path, so that each rule begins again and again and finds nothing.
    const HOSTILE: &[&str] = &[
        "@",
        "/@",
        "a@",
        "\"@",
        "a@b.",
        "%40",
        "%2540",
        "%40a.",
        "eyJ-",
        "eyJ.",
        "e",
        "sk-",
        "Basic ",
        "Bearer ",
        "Bearer \n",
        "://",
        "://a",
        "https%3A%2F%2F",
        "a:b",
        "password",
        "password=",
        "password:\n",
        "password%3D",
        "password%3D%20",
        "secret=\n)))",
        ")",
        "=",
        "%22%3D",
        "\"'=",
        "phone=",
        "phone%3D1",
        "phone=1 ",
        "+",
        "+1",
        "+1(",
        "(",
        "(415",
        "1 ",
        "1-",
        "41",
        "4111 ",
        "a4111_",
        "4a",
        "%20",
        "%25",
        "é@",
        "é",
    ];

    #[test]
    fn the_work_grows_with_the_text_and_no_faster() {
        let looks = |text: &str| {
            let before = LOOKS.get();
            crate::text(text);
            LOOKS.get() - before
        };
        for part in HOSTILE {
            for (start, end) in [
                ("", ""),
                ("secret=", " x"),
                ("secret=", "x"),
                ("https://", "x"),
                ("eyJ", ""),
            ] {
                let text = format!("{start}{}{end}", part.repeat((64 << 10) / part.len()));
                let each = looks(&text) / text.len();
                assert!(each <= 64, "`{start}{part}...{end}`: {each} looks a byte");
            }
        }
    }
}
