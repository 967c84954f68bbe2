//! What happened: the lines that the parts print, and what was done to them. Bounded for each part.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::part::Part;

/// Lines that are held for each part.
const MAX_LINES: usize = 200;
/// Events that are held.
const MAX_EVENTS: usize = 100;
/// Longer lines are cut.
const MAX_LINE_CHARS: usize = 500;

/// A line that a part printed, or an event.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    number: u64,
    pub(crate) at: DateTime<Utc>,
    /// `None`: an event that is about no part, or about several.
    pub(crate) part: Option<Part>,
    pub(crate) text: String,
    pub(crate) is_event: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    of_parts: BTreeMap<Part, VecDeque<Line>>,
    events: VecDeque<Line>,
}

impl Journal {
    /// Records what a person or a fault did, or what was found.
    pub(crate) fn event(&self, part: Option<Part>, text: impl Into<String>) {
        let mut lines = self.lines();
        let line = lines.line(part, text.into(), true);
        push(&mut lines.events, line, MAX_EVENTS);
    }

    /// Records a line of a part's output.
    pub(crate) fn output(&self, part: Part, text: &str) {
        let mut lines = self.lines();
        let text: String = without_escapes(text).chars().take(MAX_LINE_CHARS).collect();
        let mut line = lines.line(Some(part), text, false);
        line.take_time();
        push(lines.of_parts.entry(part).or_default(), line, MAX_LINES);
    }

    /// The last lines and events, oldest first; those of one part, or of all.
    pub(crate) fn last(&self, of: Option<Part>, count: usize) -> Vec<Line> {
        let lines = self.lines();
        let all = lines.of_parts.values().flatten().chain(&lines.events);
        let mut last: Vec<Line> = all
            .filter(|line| of.is_none() || line.part == of)
            .cloned()
            .collect();
        last.sort_by_key(|line| line.number);
        last.split_off(last.len().saturating_sub(count))
    }

    /// The events since a time, oldest first.
    pub(crate) fn events_since(&self, since: DateTime<Utc>) -> Vec<Line> {
        let lines = self.lines();
        let recent = lines.events.iter().filter(|event| event.at >= since);
        recent.cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn line(&mut self, part: Option<Part>, text: String, is_event: bool) -> Line {
        self.next += 1;
        Line {
            number: self.next,
            at: Utc::now(),
            part,
            text,
            is_event,
        }
    }
}

impl Line {
    /// The services begin their lines with the time.
    fn take_time(&mut self) {
        if let Some((time, rest)) = self.text.split_once(' ')
            && let Ok(time) = DateTime::parse_from_rfc3339(time)
        {
            self.at = time.into();
            self.text = rest.trim_start().to_owned();
        }
    }
}

fn push(lines: &mut VecDeque<Line>, line: Line, max: usize) {
    if lines.len() >= max {
        lines.pop_front();
    }
    lines.push_back(line);
}

/// The text without the colours of a terminal and other control characters.
fn without_escapes(text: &str) -> String {
    let mut rest = text.chars();
    let mut clean = String::with_capacity(text.len());
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => {
                // `ESC [ ... letter`
                let _ = rest.by_ref().find(char::is_ascii_alphabetic);
            }
            '\t' => clean.push(' '),
            letter if letter.is_control() => {}
            letter => clean.push(letter),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_held_up_to_a_bound_without_control_characters_and_in_order() {
        let journal = Journal::default();
        for number in 0..1_000 {
            journal.output(Part::Api, &format!("\u{1b}[32mINFO\u{1b}[0m line {number}\u{7}"));
        }
        journal.event(Some(Part::Redis), "Redis killed");
        let last = journal.last(None, 2);
        let texts: Vec<_> = last.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["INFO line 999", "Redis killed"]);
        assert_eq!(journal.last(Some(Part::Api), 10_000).len(), MAX_LINES);
        assert_eq!(journal.last(Some(Part::Redis), 10).len(), 1);
    }

    #[test]
    fn the_time_of_a_line_is_that_which_it_begins_with() {
        let journal = Journal::default();
        journal.output(
            Part::Api,
            "2026-11-28T00:54:39.386026Z  INFO throughline_api: created",
        );
        let [line] = &journal.last(None, 1)[..] else {
            panic!("one line")
        };
        assert_eq!(
            (line.at.to_rfc3339().as_str(), line.text.as_str()),
            (
                "2026-11-28T00:54:39.386026+00:00",
                "INFO throughline_api: created"
            )
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let journal = Journal::default();
        journal.output(Part::Api, &"ä".repeat(10_000));
        let [line] = &journal.last(None, 1)[..] else {
            panic!("one line")
        };
        assert_eq!(line.text.chars().count(), MAX_LINE_CHARS);
    }
}
