//! Numbers in digits other than ASCII's, such as full-width or Arabic ones: they are transcribed to ASCII,
//! and the rules for numbers read that.

use std::str;

use crate::bytes::count_reads;
use crate::found::Found;
use crate::{card, phone, separator};

/// Enough for a card number of 19 digits in five groups, with up to three spaces between them.
const MAX_LENGTH: usize = 32;

/// The zeros of Unicode's decimal digits (general category Nd); each begins a run of ten.
const ZEROS: [u32; 40] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec,
];

/// The number that starts with the character at `index`, if that is a digit or a plus sign.
pub(crate) fn number(text: &[u8], index: usize) -> Option<Found> {
    let mut transcript = Transcript::default();
    let mut at = index;
    if text.get(at) == Some(&b'+') {
        transcript.push(b'+', at + 1)?;
        at += 1;
    }
    first_digit(text, at)?;
    loop {
        let read = match digit(text, at) {
            Some((digit, end)) => Some((digit, end)),
            None => match separator::width(text, at, b" \t-.") {
                0 => None,
                width => Some((b' ', at + width)),
            },
        };
        let Some((byte, end)) = read else { break };
        if transcript.push(byte, end).is_none() {
            break;
        }
        at = end;
    }
    let ascii = transcript.bytes();
    let found = match ascii.first()? {
        b'+' => phone::international(ascii, 0, 1)?,
        _ => card::starting(ascii, 0).or_else(|| phone::national(ascii, 0))?,
    };
    Some(found.kind.at(index..transcript.end_of(found.range.end)?))
}

/// Whether a number may start at `index`: no digit of this kind is before it.
pub(crate) fn starts_number(text: &[u8], index: usize) -> bool {
    let before = text.get(index.saturating_sub(4)..index).unwrap_or_default();
    let start = before.iter().rposition(|byte| !(0x80..0xc0).contains(byte));
    let before = start.and_then(|start| first_digit(before, start));
    before.is_none() && first_digit(text, index).is_some()
}

/// The digit at `at` that is not an ASCII digit.
fn first_digit(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let lead = *text.get(at)?;
    count_reads(4);
    let width = match lead {
        0xd9 | 0xdb | 0xdf => 2,
        0xe0 | 0xe1 | 0xea | 0xef => 3,
        0xf0 => 4,
        _ => return None,
    };
    let character = str::from_utf8(text.get(at..at + width)?).ok()?.chars().next()?;
    let code = u32::from(character);
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
    let value = u8::try_from(code - zero).ok().filter(|value| *value < 10)?;
    Some((b'0' + value, at + width))
}

fn digit(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match text.get(at)? {
        digit @ b'0'..=b'9' => Some((*digit, at + 1)),
        _ => first_digit(text, at),
    }
}

/// A number in ASCII, with the end of each character in the text.
#[derive(Default)]
struct Transcript {
    bytes: [u8; MAX_LENGTH],
    ends: [usize; MAX_LENGTH],
    length: usize,
}

impl Transcript {
    /// `None` if there is no more room.
    fn push(&mut self, byte: u8, end: usize) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        *self.ends.get_mut(self.length)? = end;
        self.length += 1;
        Some(())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Where the first `length` characters end in the text.
    fn end_of(&self, length: usize) -> Option<usize> {
        self.ends.get(length.checked_sub(1)?).copied()
    }
}
