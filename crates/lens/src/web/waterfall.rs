//! The waterfall for a browser. Bars are SVG attributes: the content security policy forbids inline styles.

use std::collections::HashMap;
use std::fmt::{self, Display};

use super::html::{Escaped, Palette};
use crate::attributes::Attributes;
use crate::format::{count, readable, utc};
use crate::ids::SpanId;
use crate::log::LogRecord;
use crate::trace::{Dropped, Span, Status, Trace, kind_name};
use crate::tree::{Row, Tree};
use crate::waterfall::{Scale, error_type};

/// Indentation stops at this depth, which keeps the names of a deep trace visible.
const MAX_INDENT: usize = 16;
/// The width of the area for bars, in SVG units.
const CANVAS: usize = 10_000;

/// The body of a trace's page.
pub(super) struct Waterfall<'a> {
    trace: &'a Trace,
    tree: Tree<'a>,
    scale: Scale,
    /// The log records of each span of the trace.
    logs: HashMap<SpanId, Vec<&'a LogRecord>>,
    other_logs: Vec<&'a LogRecord>,
    palette: &'a Palette,
}

impl<'a> Waterfall<'a> {
    /// `logs` are the records of the trace.
    pub(super) fn of(trace: &'a Trace, logs: &'a [LogRecord], palette: &'a Palette) -> Self {
        let ids = trace.spans.iter().map(|span| (span.span_id, Vec::new()));
        let mut logs_of: HashMap<SpanId, Vec<&LogRecord>> = ids.collect();
        let mut other_logs = Vec::new();
        for log in logs {
            let of_span = log.span_id.and_then(|id| logs_of.get_mut(&id));
            of_span.unwrap_or(&mut other_logs).push(log);
        }
        Self {
            trace,
            tree: trace.tree(),
            scale: Scale::of(trace),
            logs: logs_of,
            other_logs,
            palette,
        }
    }

    fn header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = self.trace;
        let name = self.tree.root().map_or("", |span| &span.name);
        write!(f, "<header><h1>{}</h1><p class=\"facts\">", Escaped(name))?;
        write!(f, "<b>{}</b> ", readable(trace.duration()))?;
        write!(f, "<span>{}</span> ", count(trace.spans.len(), "span"))?;
        if trace.errors() > 0 {
            write!(
                f,
                "<span class=\"bad\">{}</span> ",
                count(trace.errors(), "error")
            )?;
        }
        write!(
            f,
            "<span>{}</span></p>",
            utc(trace.start_unix_nano()).format("%Y-%m-%d %H:%M:%S%.3f UTC")
        )?;
        write!(f, "<dl class=\"ids\"><dt>trace</dt><dd>{}</dd>", trace.trace_id)?;
        if let Some(order_id) = trace.order_id() {
            write!(f, "<dt>order</dt><dd>{}</dd>", Escaped(order_id))?;
        }
        write!(f, "</dl><p class=\"legend\">")?;
        for service in self.tree.services() {
            write!(
                f,
                "<span class=\"chip {}\">{}</span> ",
                self.palette.class(service),
                Escaped(service)
            )?;
        }
        write!(
            f,
            "<a href=\"/traces/{id}.txt\">text</a> <a href=\"/api/traces/{id}\">OTLP JSON</a></p></header>",
            id = trace.trace_id
        )
    }

    fn axis(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "<div class=\"row axis\"><span>span</span><span>kind</span><span>service</span>\
             <span class=\"ticks\">",
        )?;
        for quarter in 0..4 {
            write!(
                f,
                "<span>{}</span>",
                readable(self.trace.duration() * quarter / 4)
            )?;
        }
        f.write_str("</span><span class=\"time\">duration</span></div>")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, row: &Row<'_>) -> fmt::Result {
        let span = row.span;
        let failed = if span.failed() { " failed" } else { "" };
        let (x, width) = self.scale.bar(span, CANVAS);
        write!(
            f,
            "<details class=\"span {}{failed}\" id=\"s{}\"><summary class=\"row\">",
            self.palette.class(&span.service),
            span.span_id
        )?;
        f.write_str("<span class=\"name\">")?;
        for _ in 0..row.depth.min(MAX_INDENT) {
            f.write_str("<i></i>")?;
        }
        write!(f, "<span>{}", Escaped(&span.name))?;
        self.marks(f, row)?;
        write!(
            f,
            "</span></span><span class=\"kind\">{}</span>",
            kind_name(span.kind)
        )?;
        write!(f, "<span class=\"service\">{}</span>", Escaped(&span.service))?;
        write!(
            f,
            "<svg viewBox=\"0 0 {CANVAS} 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        )?;
        // The smallest visible bar: 0.4 % of the width.
        let width = width.max(CANVAS / 250);
        write!(
            f,
            "<rect x=\"{}\" width=\"{width}\" height=\"10\"/></svg>",
            x.min(CANVAS - width)
        )?;
        write!(
            f,
            "<span class=\"time\">{}</span></summary>",
            readable(span.duration())
        )?;
        self.detail(f, span)?;
        f.write_str("</details>")
    }

    /// Error, links and missing parent: visible without opening the span.
    fn marks(&self, f: &mut fmt::Formatter<'_>, row: &Row<'_>) -> fmt::Result {
        let span = row.span;
        if span.failed() {
            write!(f, " <em class=\"bad\">ERR {}</em>", Escaped(&error_type(span)))?;
        }
        if !span.links.is_empty() {
            write!(f, " <em title=\"{}\">→</em>", count(span.links.len(), "link"))?;
        }
        if row.orphan {
            f.write_str(" <em>(parent not received)</em>")?;
        }
        Ok(())
    }

    fn detail(&self, f: &mut fmt::Formatter<'_>, span: &Span) -> fmt::Result {
        f.write_str("<div class=\"detail\">")?;
        let starts = readable(self.scale.offset(span.start_unix_nano));
        write!(
            f,
            "<p>span {}, starts at {starts}, scope {}",
            span.span_id,
            Escaped(&span.scope.name)
        )?;
        if span.status != Status::Unset {
            write!(f, ", status {:?}", span.status)?;
        }
        f.write_str("</p>")?;
        if !span.status_message.is_empty() {
            write!(f, "<p class=\"bad\">{}</p>", Escaped(&span.status_message))?;
        }
        table(f, "Attributes", &span.attributes)?;
        for event in &span.events {
            let at = readable(self.scale.offset(event.time_unix_nano));
            table(f, &format!("Event {} at {at}", event.name), &event.attributes)?;
        }
        for link in &span.links {
            write!(
                f,
                "<p>Link to <a href=\"/traces/{}#s{}\">span {}</a>",
                link.trace_id, link.span_id, link.span_id
            )?;
            if link.trace_id != span.trace_id {
                write!(f, " of trace {}", link.trace_id)?;
            }
            f.write_str("</p>")?;
            table(f, "", &link.attributes)?;
        }
        let logs = self.logs.get(&span.span_id);
        self.logs(f, "Logs", logs.map_or(&[], Vec::as_slice))?;
        let dropped = span.dropped;
        if dropped != Dropped::default() {
            write!(
                f,
                "<p>Dropped by the sender: {} attributes, {} events, {} links</p>",
                dropped.attributes, dropped.events, dropped.links
            )?;
        }
        f.write_str("<details class=\"resource\"><summary>Resource</summary>")?;
        table(f, "", &span.resource)?;
        f.write_str("</details></div>")
    }

    fn logs(&self, f: &mut fmt::Formatter<'_>, title: &str, logs: &[&LogRecord]) -> fmt::Result {
        if logs.is_empty() {
            return Ok(());
        }
        write!(f, "<h2>{title}</h2><table class=\"logs\">")?;
        for log in logs {
            let at = readable(self.scale.offset(log.time_unix_nano));
            write!(
                f,
                "<tr><td class=\"time\">{at}</td><td class=\"{0}\">{0}</td>",
                log.severity
            )?;
            write!(
                f,
                "<td>{}</td><td>{}",
                Escaped(&log.service),
                Escaped(&log.body.to_string())
            )?;
            if !log.attributes.is_empty() {
                write!(f, " <small>{}</small>", Escaped(&log.attributes.to_string()))?;
            }
            f.write_str("</td></tr>")?;
        }
        f.write_str("</table>")
    }
}

impl Display for Waterfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        f.write_str("<section class=\"waterfall\">")?;
        self.axis(f)?;
        for row in self.tree.rows() {
            self.row(f, row)?;
        }
        f.write_str("</section>")?;
        self.logs(f, "Other logs", &self.other_logs)
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, attributes: &Attributes) -> fmt::Result {
    if !title.is_empty() && (!attributes.is_empty() || title != "Attributes") {
        write!(f, "<h2>{}</h2>", Escaped(title))?;
    }
    if attributes.is_empty() {
        return Ok(());
    }
    f.write_str("<table>")?;
    for (key, value) in attributes.iter() {
        write!(
            f,
            "<tr><th>{}</th><td>{}</td></tr>",
            Escaped(key),
            Escaped(&value.to_string())
        )?;
    }
    f.write_str("</table>")
}
