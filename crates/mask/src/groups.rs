//! Digits in groups, as in long numbers that people write.

use crate::bytes::run;
use crate::separator;

#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Length and end of each group.
    groups: [(usize, usize); Self::MAX],
    count: usize,
}

impl Groups {
    /// A card number has at most five groups, a telephone number six.
    const MAX: usize = 8;

    /// Reads groups of digits from `start`, with one to `max_separators` separators between two groups:
    /// `signs`, or what [`separator::width`] accepts besides.
    pub(crate) fn read(text: &[u8], start: usize, signs: &[u8], max_separators: usize) -> Self {
        let mut groups = Self::default();
        let mut at = start;
        for slot in &mut groups.groups {
            let end = run(text, at, |byte| byte.is_ascii_digit());
            if end == at {
                break;
            }
            *slot = (end - at, end);
            groups.count += 1;
            at = end;
            for _ in 0..max_separators {
                at += separator::width(text, at, signs);
            }
            if at == end {
                break;
            }
        }
        groups
    }

    /// Length and end of each group.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.groups.into_iter().take(self.count)
    }

    /// The digits of the groups up to `end`, last first.
    pub(crate) fn digits_back<'a>(&'a self, text: &'a [u8], end: usize) -> impl Iterator<Item = u8> + 'a {
        let groups = self.groups.get(..self.count).unwrap_or_default();
        groups
            .iter()
            .rev()
            .filter(move |(_, group_end)| *group_end <= end)
            .filter_map(move |(length, group_end)| text.get(group_end - length..*group_end))
            .flat_map(|group| group.iter().rev().copied())
    }

    /// The end of the last of these groups, if the first groups have these lengths.
    pub(crate) fn end_of(&self, lengths: &[usize]) -> Option<usize> {
        let groups = self.groups.get(..self.count)?.get(..lengths.len())?;
        let same = groups.iter().map(|(length, _)| length).eq(lengths);
        same.then(|| groups.last().map(|(_, end)| *end)).flatten()
    }
}
