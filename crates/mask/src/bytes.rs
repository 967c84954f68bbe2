//! Reads of single bytes and of runs of bytes. Tests count them, to check that the work is linear.

/// The byte at `index`; 0 beyond the end.
pub(crate) fn byte(text: &[u8], index: usize) -> u8 {
    count_reads(1);
    text.get(index).copied().unwrap_or(0)
}

/// The byte before `index`; 0 at the start.
pub(crate) fn byte_before(text: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| byte(text, index))
}

/// Whether the byte belongs to a word, an identifier or a number.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(crate) fn starts(text: &[u8], index: usize, with: &[u8]) -> bool {
    count_reads(with.len());
    text.get(index..).is_some_and(|rest| rest.starts_with(with))
}

pub(crate) fn starts_ignoring_case(text: &[u8], index: usize, with: &[u8]) -> bool {
    count_reads(with.len());
    text.get(index..index + with.len())
        .is_some_and(|here| here.eq_ignore_ascii_case(with))
}

/// The end of the run of bytes from `start` that `is_part` accepts.
pub(crate) fn run(text: &[u8], start: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let length = text.iter().skip(start).take_while(|byte| is_part(**byte)).count();
    count_reads(length + 1);
    start + length
}

/// The start of the run of bytes up to `end` that `is_part` accepts, not before `from`.
pub(crate) fn run_back(text: &[u8], end: usize, from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let before = text.get(from..end).unwrap_or_default();
    let length = before.iter().rev().take_while(|byte| is_part(**byte)).count();
    count_reads(length + 1);
    end - length
}

/// The end of the spaces from `start`: plain, encoded, or `+` as in a query.
pub(crate) fn skip_spaces(text: &[u8], start: usize) -> usize {
    if starts(text, start, b"%20") {
        start + 3
    } else {
        run(text, start, |byte| matches!(byte, b' ' | b'+' | b'\t'))
    }
}

#[cfg_attr(not(test), expect(unused_variables, reason = "only the test counts"))]
pub(crate) fn count_reads(reads: usize) {
    #[cfg(test)]
    READS.with(|counted| counted.set(counted.get() + reads));
}

#[cfg(test)]
thread_local! {
    /// The bytes that this thread read.
    pub(crate) static READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
