//! The output of the processes.

use askama::Template;
use ui::Moment;

use crate::journal::Line;
use crate::part::Part;
use crate::web::shared::Shared;

/// Lines of output on a page.
const OUTPUT_LINES: usize = 60;

#[derive(Template)]
#[template(path = "output.html")]
pub(in crate::web) struct OutputView<'a> {
    lens: &'a str,
    of: Option<Part>,
    parts: Vec<Part>,
    lines: Vec<LineView>,
}

struct LineView {
    at: Moment,
    part: String,
    text: String,
    class: &'static str,
    /// The trace that the line names.
    trace_id: Option<String>,
}

impl<'a> OutputView<'a> {
    pub(in crate::web) fn of(shared: &'a Shared, of: Option<Part>) -> Self {
        let lines = shared.parts.system.journal.last(of, OUTPUT_LINES);
        let view = |line: Line| LineView {
            at: Moment::precise(line.at),
            part: line.part.map(|part| part.to_string()).unwrap_or_default(),
            class: class(&line.text, line.is_event),
            trace_id: trace_id(&line.text),
            text: line.text,
        };
        Self {
            lens: &shared.parts.system.lens,
            of,
            parts: shared
                .parts
                .system
                .statuses()
                .into_iter()
                .map(|(part, _)| part)
                .collect(),
            lines: lines.into_iter().map(view).collect(),
        }
    }

    fn is_of(&self, part: &Part) -> bool {
        self.of == Some(*part)
    }
}

fn class(text: &str, is_event: bool) -> &'static str {
    if is_event || text.contains("ERROR") {
        "bad-text"
    } else if text.contains("WARN") {
        "warn-text"
    } else {
        ""
    }
}

/// The first 32 hexadecimal digits of a line that stand alone.
fn trace_id(text: &str) -> Option<String> {
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let is_id = |word: &&str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_in_a_line_is_found_and_an_order_id_is_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&format!("INFO done trace_id={id} x")).as_deref(),
            Some(id)
        );
        assert_eq!(trace_id(&format!("INFO {id}0")), None);
        assert_eq!(trace_id("INFO 01a21c42-d6e8-74f6-aff1-150e400dea2b"), None);
    }
}
