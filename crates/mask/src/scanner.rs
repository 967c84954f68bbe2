//! One pass over a text. Signs (`@`, `%`, `+`, `(`, `=`, `:`), the first letter of a word and the first digit
//! of a number are anchors: the rules read the bytes around them.
//!
//! Texts come from callers, so the work must be linear in the length of a text. A rule may read any number of
//! bytes that it then masks, or that hold no anchor of the same rule; it must never read the same bytes again
//! from many anchors.

use crate::bytes::{byte_before, count_reads, starts};
use crate::encoded::Encoded;
use crate::found::Found;
use crate::{card, email, phone, secret, token, uuid, wide};

/// Finds what is masked, from the start of the text to its end.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    /// Where the last find ends. No later one starts before it.
    from: usize,
    /// No JSON web token starts before this index: the text up to it has no dots between parts.
    no_web_token_before: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            from: 0,
            no_web_token_before: 0,
        }
    }

    /// A token that starts with the first letter of a word.
    fn at_word(&mut self, index: usize) -> Option<Found> {
        if !starts(self.text, index, b"eyJ") {
            return token::starting(self.text, index);
        }
        if index < self.no_web_token_before {
            return None;
        }
        let end = token::end(self.text, index);
        let found = token::json_web_token(self.text, index, end);
        if found.is_none() {
            self.no_web_token_before = end;
        }
        found
    }

    fn at_sign(&self, index: usize, sign: u8) -> Option<Found> {
        let (text, from) = (self.text, self.from);
        match sign {
            b'@' => email::around(text, index, 1, from),
            b'+' => phone::international(text, index, 1).or_else(|| wide::number(text, index)),
            b'(' => phone::in_parentheses(text, index),
            b':' if starts(text, index, b"://") => secret::user_info(text, index + 3),
            b'=' | b':' => secret::keyed(text, index, from),
            b'%' => self.at_encoded_sign(index, Encoded::at(text, index)?),
            _ => None,
        }
    }

    fn at_encoded_sign(&self, index: usize, sign: Encoded) -> Option<Found> {
        let (text, from) = (self.text, self.from);
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
}

impl Iterator for Scanner<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let text = self.text;
        let mut before = byte_before(text, self.from);
        let mut index = self.from;
        while let Some(&here) = text.get(index) {
            count_reads(1);
            if !before.is_ascii_alphanumeric() && uuid::starts(text, index) {
                index += uuid::LENGTH;
                before = byte_before(text, index);
                continue;
            }
            let found = match here {
                b'@' | b'%' | b'+' | b'(' | b'=' | b':' => self.at_sign(index, here),
                b'0'..=b'9' if !before.is_ascii_digit() => {
                    card::starting(text, index).or_else(|| phone::national(text, index))
                }
                0xd9.. if wide::starts_number(text, index) => wide::number(text, index),
                b'a'..=b'z' | b'A'..=b'Z' if !before.is_ascii_alphanumeric() => self.at_word(index),
                _ => None,
            };
            if let Some(found) = found {
                self.from = found.range.end;
                return Some(found);
            }
            before = here;
            index += 1;
        }
        self.from = text.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::bytes::READS;

    /// What a caller can repeat in a path so that a rule starts at each repetition and finds nothing.
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
        "４",
        "４ ",
        "４４４４ ",
        "４１１１\u{a0}",
        "1\u{a0}",
        "4111%252D",
        "4111%C2%A0",
        "4111\t",
        "+４",
        "%C2",
        "%E2%80",
    ];

    #[test]
    fn the_work_is_linear_in_the_length_of_the_text() {
        for part in HOSTILE {
            for (start, end) in [
                ("", ""),
                ("secret=", " x"),
                ("secret=", "x"),
                ("https://", "x"),
                ("eyJ", ""),
            ] {
                let text = format!("{start}{}{end}", part.repeat((64 << 10) / part.len()));
                let before = READS.get();
                crate::text(&text);
                let reads = (READS.get() - before) / text.len();
                assert!(reads <= 64, "`{start}{part}...{end}`: {reads} reads per byte");
            }
        }
    }
}
