//! Rules between signals: spans and metrics have the same errors, log records belong to traces, and no signal
//! has personal data.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use lens::{Attributes, LogRecord, Metric, Scope, Severity, Span, SpanId, TraceId, Value};

use super::rows::shown;
use super::spans::{self, DATABASE};
use super::{Capture, Report, Rule, events};

/// The lowest severity that is exported by default.
const INFO: Severity = Severity(9);
/// The replacements of personal data and secrets.
const MASKS: &[&str] = &["[email]", "[phone]", "[card]", "[token]", "[secret]"];

pub(super) fn check(capture: &Capture, report: &mut Report) {
    error_types(capture, report);
    logs(capture, report);
    lines(capture, report);
    masking(capture, report);
}

/// Metric, service and `error.type` of every failed operation.
type Errors<'a> = BTreeSet<(&'a str, &'a str, &'a str)>;

fn error_types(capture: &Capture, report: &mut Report) {
    let mut of_spans = Errors::new();
    for span in capture.spans().filter(|span| !capture.was_killed(&span.resource)) {
        let metric = spans::row_of(span).and_then(|row| row.metric);
        if let (Some(metric), Some(error)) = (metric, span.attributes.get_str("error.type"))
            // A statement that carries many calls goes on, and is measured, without those that are dropped.
            && (metric, error) != (DATABASE, spans::CANCELLED)
        {
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
        // A field without a namespace gets that of its crate, and is in no list.
        let mut attributes = log.attributes.iter();
        if let Some((name, value)) = attributes.find(|(name, _)| name.starts_with("throughline_")) {
            report.break_rule(Rule::AttributeUnknown, format!("{} has {name}={value}", what()));
        }
        if !is_event(log) {
            report.break_rule(Rule::Event, format!("{}: {}", log.event_name, what()));
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
            (false, false) if log.severity < Severity::ERROR => {}
            _ => report.break_rule(Rule::Exception, what()),
        }
    }
    for row in events::ROWS.iter().filter(|row| !row.is_rare) {
        let records = capture.logs.iter().filter(|log| log.event_name == row.name);
        report.row("events", row.name, records.count());
    }
    report.row(TABLE, "record with a severity", capture.logs.len());
    report.row(TABLE, "record with trace_id and span_id", correlated);
    report.row(
        TABLE,
        "error with exception.type and exception.message, in its span",
        errors,
    );
}

fn is_event(log: &LogRecord) -> bool {
    let name = log.event_name.as_str();
    let has = |attribute: &&str| log.attributes.get(attribute).is_some();
    match events::row_of(name) {
        Some(row) => row.attributes.iter().all(has),
        None => name.is_empty(),
    }
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

fn masking(capture: &Capture, report: &mut Report) {
    let mut masked: HashMap<&str, usize> = HashMap::new();
    let mut search = |place: &str, texts: &mut dyn Iterator<Item = String>| {
        for text in texts {
            let planted = capture.planted.iter();
            if planted.into_iter().any(|secret| text.contains(secret)) {
                report.break_rule(Rule::Masking, format!("{place}: {text}"));
            }
            for mask in MASKS {
                *masked.entry(mask).or_default() += usize::from(text.contains(mask));
            }
        }
    };
    for span in capture.spans() {
        search(&shown(span), &mut texts_of_span(span));
    }
    for log in &capture.logs {
        let place = format!("a log record of {}", log.service);
        search(&place, &mut texts_of_log(log));
    }
    for metric in &capture.metrics {
        search(&metric.name, &mut texts_of_metric(metric));
    }
    for line in &capture.lines {
        let place = format!("stdout of {}", line.service);
        search(&place, &mut std::iter::once(line.text.clone()));
    }
    let (resources, scopes) = origins(capture);
    search("a resource", &mut resources.into_iter());
    search("a scope", &mut scopes.into_iter());
    for mask in MASKS {
        let seen = masked.get(mask).copied().unwrap_or_default();
        report.row("personal data, masked", *mask, seen);
    }
}

/// The processes and the libraries that exported something, each once.
fn origins(capture: &Capture) -> (HashSet<String>, HashSet<String>) {
    let (mut resources, mut scopes) = (HashSet::new(), HashSet::new());
    let spans = capture.spans().map(|it| (&it.resource, &it.scope));
    let metrics = capture.metrics.iter().map(|it| (&it.resource, &it.scope));
    let logs = capture.logs.iter().map(|it| (&it.resource, &it.scope));
    let mut seen: HashSet<(*const Attributes, *const Scope)> = HashSet::new();
    for (resource, scope) in spans.chain(metrics).chain(logs) {
        // The spans of one export share them.
        if seen.insert((Arc::as_ptr(resource), Arc::as_ptr(scope))) {
            resources.insert(resource.to_string());
            scopes.insert(format!("{} {}", scope.name, scope.version));
        }
    }
    (resources, scopes)
}

fn texts(attributes: &Attributes) -> impl Iterator<Item = String> {
    attributes
        .iter()
        .map(|(name, value): (&str, &Value)| format!("{name}={value}"))
}

fn texts_of_span(span: &Span) -> impl Iterator<Item = String> {
    let links = span.links.iter();
    let events = span.events.iter();
    let own = [&span.name, &span.status_message, &span.trace_state];
    texts(&span.attributes)
        .chain(own.into_iter().cloned())
        .chain(links.flat_map(|link| texts(&link.attributes).chain([link.trace_state.clone()])))
        .chain(events.flat_map(|event| texts(&event.attributes).chain([event.name.clone()])))
}

fn texts_of_log(log: &LogRecord) -> impl Iterator<Item = String> {
    let own = [
        log.body.to_string(),
        log.event_name.clone(),
        log.severity_text.clone(),
    ];
    texts(&log.attributes).chain(own)
}

fn texts_of_metric(metric: &Metric) -> impl Iterator<Item = String> {
    let own = [&metric.name, &metric.description, &metric.unit];
    let points = metric.points.iter();
    points
        .flat_map(|point| texts(&point.attributes))
        .chain(own.into_iter().cloned())
}
