//! The waterfall for a terminal, about 120 columns wide.

use std::collections::HashMap;

use super::critical_path::CriticalPath;
use super::scale::{Scale, error_type};
use crate::format::{count, printable, readable};
use crate::ids::SpanId;
use crate::log::{LogRecord, Severity};
use crate::trace::{Link, Span, Trace, kind_name};
use crate::tree::Row;

const WIDTH: usize = 120;
const MAX_NAME: usize = 52;
const MAX_SERVICE: usize = 24;
const BAR: std::ops::RangeInclusive<usize> = 12..=40;

/// Draws the trace, then the warnings and errors that were logged during it.
pub(crate) fn draw(trace: &Trace, logs: &[LogRecord]) -> String {
    let tree = trace.tree();
    let scale = Scale::of(trace);
    let columns = Columns::fit(tree.rows(), &scale);
    let names = trace.spans.iter().map(|span| (span.span_id, span.name.as_str()));
    let names: HashMap<SpanId, &str> = names.collect();

    let path = waits(&CriticalPath::of(&tree));
    let mut lines = vec![header(trace, tree.services().len()), path, String::new()];
    for row in tree.rows() {
        lines.push(columns.line(row, &scale));
        lines.extend(notes(row, &names));
    }
    let warnings: Vec<&LogRecord> = logs.iter().filter(|log| log.severity >= Severity::WARN).collect();
    if !warnings.is_empty() {
        lines.push(String::new());
        lines.extend(warnings.into_iter().map(|log| log_line(log, &scale)));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

fn header(trace: &Trace, services: usize) -> String {
    let mut parts = vec![format!("trace {}", trace.trace_id)];
    parts.extend(trace.order_id().map(|id| format!("order {}", printable(id))));
    parts.push(count(trace.spans.len(), "span"));
    parts.push(count(services, "service"));
    if trace.errors() > 0 {
        parts.push(count(trace.errors(), "error"));
    }
    parts.push(readable(trace.duration()));
    parts.join("   ")
}

/// What the trace waited for, the longest first.
fn waits(path: &CriticalPath<'_>) -> String {
    let others = path.sums().into_iter().skip(1);
    let others: Vec<String> = others
        .map(|(wait, time)| format!("{wait} {}", readable(time)))
        .collect();
    let line = printable(&format!("critical path: {path}; {}", others.join(", ")));
    line.trim_end_matches("; ").chars().take(WIDTH).collect()
}

/// The width of each column, in characters: as narrow as its content allows. The bar takes the rest.
struct Columns {
    name: usize,
    kind: usize,
    service: usize,
    start: usize,
    duration: usize,
    bar: usize,
}

impl Columns {
    fn fit(rows: &[Row<'_>], scale: &Scale) -> Self {
        let widest = |width: fn(&Row<'_>) -> usize| rows.iter().map(width).max().unwrap_or_default();
        let start = |row: &Row<'_>| readable(scale.offset(row.span.start_unix_nano)).len();
        let mut columns = Self {
            name: widest(|row| width(&row.branch) + width(&row.span.name)).min(MAX_NAME),
            kind: widest(|row| kind_name(row.span.kind).len()),
            service: widest(|row| width(&row.span.service)).min(MAX_SERVICE),
            start: rows.iter().map(start).max().unwrap_or_default(),
            duration: widest(|row| readable(row.span.duration()).len()),
            bar: 0,
        };
        let gaps = 10;
        let taken = columns.name + columns.kind + columns.service + columns.start + columns.duration + gaps;
        columns.bar = WIDTH.saturating_sub(taken).clamp(*BAR.start(), *BAR.end());
        columns
    }

    fn line(&self, row: &Row<'_>, scale: &Scale) -> String {
        let span = row.span;
        let (first, cells) = scale.bar(span, self.bar);
        format!(
            "{:name$}  {:kind$}  {:service$}  {:>start$}  {:>duration$}  {:first$}{}",
            shortened(&format!("{}{}", row.branch, printable(&span.name)), self.name),
            kind_name(span.kind),
            shortened(&printable(&span.service), self.service),
            readable(scale.offset(span.start_unix_nano)),
            readable(span.duration()),
            "",
            "▇".repeat(cells),
            name = self.name,
            kind = self.kind,
            service = self.service,
            start = self.start,
            duration = self.duration,
        )
    }
}

/// The lines under a span: its error, its links, a missing parent.
fn notes(row: &Row<'_>, names: &HashMap<SpanId, &str>) -> Vec<String> {
    let span = row.span;
    let mut notes = Vec::new();
    if span.failed() {
        let mut error = vec![error_type(span), span.status_message.clone()];
        error.retain(|text| !text.is_empty());
        notes.push(format!("ERR {}", error.join(": ")));
    }
    if row.orphan {
        notes.push("(parent not received)".to_owned());
    }
    notes.extend(span.links.iter().map(|link| link_note(link, span, names)));
    let line = |note: String| shortened(&format!("{}{}", row.stem, printable(&note)), WIDTH);
    notes.into_iter().map(line).collect()
}

fn link_note(link: &Link, from: &Span, names: &HashMap<SpanId, &str>) -> String {
    if link.trace_id != from.trace_id {
        return format!("→ links to span {} of trace {}", link.span_id, link.trace_id);
    }
    let name = names.get(&link.span_id).copied().unwrap_or("not received");
    format!("→ links to span {} ({name})", link.span_id)
}

fn log_line(log: &LogRecord, scale: &Scale) -> String {
    let at = readable(scale.offset(log.time_unix_nano));
    let line = format!("{:5}  {at:>10}  {}  {}", log.severity, log.service, log.body);
    shortened(&printable(&line), WIDTH)
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn shortened(text: &str, max_width: usize) -> String {
    if width(text) <= max_width {
        return text.to_owned();
    }
    text.chars()
        .take(max_width.saturating_sub(1))
        .chain(['…'])
        .collect()
}
