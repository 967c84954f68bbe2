//! What holds between signals: errors of spans and of their metrics, log records and their traces, and what must be in none.

use std::collections::{BTreeSet, HashMap, HashSet};

use lens::{Attributes, LogRecord, Severity, Span, SpanId, TraceId, Value};

use super::rows::shown;
use super::spans::{self, DATABASE};
use super::{Capture, Report, Rule};

/// The lowest severity that is exported by default.
const INFO: Severity = Severity(9);
/// What is written in the place of personal data and secrets.
const MASKS: &[&str] = &["[email]", "[phone]", "[card]", "[token]", "[secret]"];

pub(super) fn check(capture: &Capture, report: &mut Report) {
    error_types(capture, report);
    logs(capture, report);
    lines(capture, report);
    masking(capture, report);
}

// === errors ===

/// The `error.type`s of each service, by the metric that measures what failed.
type Errors<'a> = BTreeSet<(&'a str, &'a str, &'a str)>;

fn error_types(capture: &Capture, report: &mut Report) {
    let mut of_spans = Errors::new();
    for span in capture
        .spans()
        .filter(|span| !capture.was_killed(&span.resource))
    {
        let metric = spans::row_of(span).and_then(|row| row.metric);
        if let (Some(metric), Some(error)) = (metric, span.attributes.get_str("error.type")) {
            of_spans.insert((metric, &span.service, error));
        }
    }
    let mut of_metrics = Errors::new();
    for metric in &capture.metrics {
        for point in &metric.points {
            if let Some(error) = point.attributes.get_str("error.type") {
                of_metrics.insert((&metric.name, &metric.service, error));
            }
        }
    }
    let measured = |metric: &str| spans::ROWS.iter().any(|row| row.metric == Some(metric));
    // Statements outside a trace are measured, and make no span.
    let traced = |metric: &str| measured(metric) && metric != DATABASE;
    let differ = of_spans.difference(&of_metrics).chain(
        of_metrics
            .difference(&of_spans)
            .filter(|(metric, ..)| traced(metric)),
    );
    for (metric, service, error) in differ {
        let what = format!("{error} of {service} is only in its spans or only in {metric}");
        report.break_rule(Rule::SameErrorType, what);
    }
    for (metric, _, error) in of_spans.intersection(&of_metrics) {
        let seen = capture.spans().filter(|span| {
            let same = spans::row_of(span).and_then(|row| row.metric) == Some(*metric);
            same && span.attributes.get_str("error.type") == Some(*error)
        });
        report.row(
            "errors of spans and metrics",
            format!("{metric} {error}"),
            seen.count(),
        );
    }
}

// === logs ===

fn logs(capture: &Capture, report: &mut Report) {
    const TABLE: &str = "logs";
    let spans: HashMap<SpanId, TraceId> = capture
        .spans()
        .map(|span| (span.span_id, span.trace_id))
        .collect();
    let has = |log: &LogRecord, name| log.attributes.get(name).is_some();
    let (mut correlated, mut errors) = (0, 0);
    for log in &capture.logs {
        let what = || format!("`{}` of {}", log.body, log.service);
        if log.severity < INFO {
            report.break_rule(Rule::Severity, what());
        }
        let lost = capture.was_killed(&log.resource);
        let belongs = match (log.trace_id, log.span_id) {
            (None, None) => true,
            (Some(trace), Some(span)) => {
                correlated += 1;
                spans.get(&span) == Some(&trace) || lost
            }
            _ => false,
        };
        if !belongs {
            report.break_rule(Rule::LogCorrelation, what());
        }
        match (has(log, "exception.type"), has(log, "exception.message")) {
            (true, true) => errors += usize::from(log.span_id.is_some()),
            (false, false) => {}
            _ => report.break_rule(Rule::Exception, what()),
        }
    }
    report.row(TABLE, "record with a severity", capture.logs.len());
    report.row(TABLE, "record with trace_id and span_id", correlated);
    report.row(
        TABLE,
        "error with exception.type and exception.message, in its span",
        errors,
    );
}

fn lines(capture: &Capture, report: &mut Report) {
    let mut correlated = 0;
    for line in &capture.lines {
        let json = serde_json::from_str::<serde_json::Value>(&line.text).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
        let ids = text("trace_id").is_some() == text("span_id").is_some();
        if text("severity").is_none() || !ids {
            let what = format!("{}: {}", line.service, line.text);
            report.break_rule(Rule::JsonLine, what);
        }
        correlated += usize::from(text("trace_id").is_some());
    }
    report.row("logs", "JSON line on stdout", capture.lines.len());
    report.row("logs", "JSON line with trace_id and span_id", correlated);
}

// === personal data ===

fn masking(capture: &Capture, report: &mut Report) {
    let mut masked: HashMap<&str, usize> = HashMap::new();
    let mut look = |text: &str, place: &dyn Fn() -> String, report: &mut Report| {
        if capture
            .planted
            .iter()
            .any(|secret| text.contains(secret.as_str()))
        {
            report.break_rule(Rule::Masking, format!("{}: {text}", place()));
        }
        for mask in MASKS {
            *masked.entry(mask).or_default() += usize::from(text.contains(mask));
        }
    };
    for span in capture.spans() {
        for text in texts_of_span(span) {
            look(&text, &|| shown(span), report);
        }
    }
    for log in &capture.logs {
        let texts = texts(&log.attributes).chain([log.body.to_string()]);
        for text in texts {
            look(
                &text,
                &|| format!("a log record of {}", log.service),
                report,
            );
        }
    }
    for metric in &capture.metrics {
        for text in metric
            .points
            .iter()
            .flat_map(|point| texts(&point.attributes))
        {
            look(&text, &|| metric.name.clone(), report);
        }
    }
    for line in &capture.lines {
        look(
            &line.text,
            &|| format!("stdout of {}", line.service),
            report,
        );
    }
    let resources: HashSet<String> = capture
        .spans()
        .map(|span| span.resource.to_string())
        .collect();
    for resource in resources {
        look(&resource, &|| "a resource".to_owned(), report);
    }
    for mask in MASKS {
        let seen = masked.get(mask).copied().unwrap_or_default();
        report.row("personal data, masked", *mask, seen);
    }
}

fn texts(attributes: &Attributes) -> impl Iterator<Item = String> {
    attributes
        .iter()
        .map(|(name, value): (&str, &Value)| format!("{name}={value}"))
}

fn texts_of_span(span: &Span) -> impl Iterator<Item = String> {
    let events = span.events.iter();
    texts(&span.attributes)
        .chain([span.name.clone(), span.status_message.clone()])
        .chain(span.links.iter().flat_map(|link| texts(&link.attributes)))
        .chain(events.flat_map(|event| texts(&event.attributes).chain([event.name.clone()])))
}
