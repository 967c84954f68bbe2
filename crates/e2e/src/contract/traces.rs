//! What holds between the spans of a trace.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use lens::{Span, SpanId, SpanKind, Trace, TraceId, Value};

use super::rows::shown;
use super::{Capture, Report, Rule, spans};

const INTERNAL: usize = 10;
const SHORT: usize = 20;
const SHORT_SPAN: Duration = Duration::from_millis(5);
/// Paths of which nobody wants to know.
const UNTRACED: &[&str] = &["/health", "/health/ready", "/favicon.ico"];
/// The root spans of loops.
const LOOPS: &[&str] = &["reconcile_orders"];

pub(super) fn check(capture: &Capture, report: &mut Report) {
    for trace in &capture.traces {
        parents(capture, trace, report);
        roots(capture, trace, report);
        bounds(trace, report);
        links(trace, report);
    }
    rows(capture, report);
    one_trace_an_order(capture, report);
    for span in capture.spans() {
        let path = span.attributes.get_str("url.path").unwrap_or_default();
        let url = span.attributes.get_str("url.full").unwrap_or_default();
        if UNTRACED.iter().any(|it| *it == path || url.ends_with(it)) {
            report.break_rule(Rule::HealthPath, shown(span));
        }
    }
}

fn by_id(trace: &Trace) -> HashMap<SpanId, &Span> {
    trace
        .spans
        .iter()
        .map(|span| (span.span_id, span))
        .collect()
}

fn parents(capture: &Capture, trace: &Trace, report: &mut Report) {
    let known = by_id(trace);
    let killed = |span: &Span| capture.was_killed(&span.resource);
    let one_was_killed = trace.spans.iter().any(killed);
    for span in &trace.spans {
        let Some(parent) = span.parent_span_id else {
            continue;
        };
        // The call of a killed process is lost, but not its answer.
        let is_lost = killed(span) || one_was_killed && span.kind == SpanKind::Server;
        if !known.contains_key(&parent) && !capture.callers.contains(&parent) && !is_lost {
            report.break_rule(Rule::Orphan, shown(span));
        }
    }
}

fn roots(capture: &Capture, trace: &Trace, report: &mut Report) {
    let is_root = |span: &&Span| span.parent_span_id.is_none();
    for root in trace.spans.iter().filter(is_root) {
        if root.kind == SpanKind::Client {
            report.break_rule(Rule::ClientRoot, shown(root));
        }
        if spans::is_step(root) && (!is_loop(root) || !found_work(capture, root)) {
            report.break_rule(Rule::IdleLoop, shown(root));
        }
    }
}

fn is_loop(span: &Span) -> bool {
    LOOPS.contains(&span.name.as_str())
}

/// Whether a job was sent once more meanwhile, which its order's trace tells.
fn found_work(capture: &Capture, root: &Span) -> bool {
    let during = root.start_unix_nano..=root.end_unix_nano;
    capture.spans().any(|span| {
        span.attributes.get("queue.reason").is_some()
            && span.resource == root.resource
            && during.contains(&span.start_unix_nano)
    })
}

fn bounds(trace: &Trace, report: &mut Report) {
    let mut internal: BTreeMap<&str, usize> = BTreeMap::new();
    for span in trace.spans.iter().filter(|span| spans::is_step(span)) {
        *internal.entry(&span.service).or_default() += 1;
    }
    for (service, count) in internal {
        if count > INTERNAL {
            let what = format!("{count} of {service} in {}", trace.trace_id);
            report.break_rule(Rule::InternalSpans, what);
        }
    }
    let short = trace
        .spans
        .iter()
        .filter(|span| span.duration() < SHORT_SPAN);
    let count = short.count();
    if count > SHORT {
        report.break_rule(Rule::ShortSpans, format!("{count} in {}", trace.trace_id));
    }
}

fn links(trace: &Trace, report: &mut Report) {
    let known = by_id(trace);
    for span in trace
        .spans
        .iter()
        .filter(|span| span.kind == SpanKind::Consumer)
    {
        let linked: HashSet<SpanId> = span.links.iter().map(|link| link.span_id).collect();
        let sent_by = match span.parent_span_id {
            // With JOB_TRACE=link it is a root.
            None => !linked.is_empty(),
            Some(parent) => {
                let parent_sent = known
                    .get(&parent)
                    .is_none_or(|parent| parent.kind == SpanKind::Producer);
                parent_sent && linked.contains(&parent)
            }
        };
        if !sent_by || linked.len() < expected_links(span) {
            let what = format!("{} has {} links", shown(span), linked.len());
            report.break_rule(Rule::Links, what);
        }
    }
}

fn expected_links(process: &Span) -> usize {
    let attempt = process.attributes.get("queue.attempt");
    match attempt.and_then(Value::as_i64) {
        Some(attempt) if attempt > 1 => 2,
        _ => 1,
    }
}

/// How often each situation that the rules speak of was seen.
fn rows(capture: &Capture, report: &mut Report) {
    const TABLE: &str = "situations";
    let count = |is: &dyn Fn(&Span) -> bool| capture.spans().filter(|span| is(span)).count();
    let code = |span: &Span, from: i64, to: i64| {
        let code = span.attributes.get("http.response.status_code");
        code.and_then(Value::as_i64)
            .is_some_and(|code| (from..to).contains(&code))
    };
    let error = |span: &Span, word: &str| span.attributes.get_str("error.type") == Some(word);
    for (what, kind, from, to) in [
        ("server 2xx", SpanKind::Server, 200, 300),
        ("server 4xx, unset", SpanKind::Server, 400, 500),
        ("server 5xx, error", SpanKind::Server, 500, 600),
        ("client 4xx, error", SpanKind::Client, 400, 500),
        ("client 5xx, error", SpanKind::Client, 500, 600),
    ] {
        let seen = count(&|span| span.kind == kind && code(span, from, to));
        report.row(TABLE, what, seen);
    }
    for (what, kind, word) in [
        ("client that disconnected", SpanKind::Server, "cancelled"),
        (
            "statement that was cancelled",
            SpanKind::Client,
            "cancelled",
        ),
        ("call that timed out", SpanKind::Client, "timeout"),
    ] {
        let seen = count(&|span| span.kind == kind && error(span, word));
        report.row(TABLE, what, seen);
    }
    let consumer = |span: &Span| span.kind == SpanKind::Consumer;
    let linked = count(&|span| consumer(span) && span.parent_span_id.is_some());
    report.row(TABLE, "process, child of its send span and linked", linked);
    let retried = count(&|span| consumer(span) && span.links.len() > 1);
    report.row(TABLE, "process, linked to the attempt before", retried);
    let dispatched_again = count(&|span| span.attributes.get("queue.reason").is_some());
    report.row(
        TABLE,
        "send once more, in the order's trace",
        dispatched_again,
    );
    let of_caller = count(&|span| {
        let parent = span.parent_span_id;
        parent.is_some_and(|parent| capture.callers.contains(&parent))
    });
    report.row(TABLE, "child of a caller's span", of_caller);
    let root_of_loop = count(&|span| span.parent_span_id.is_none() && is_loop(span));
    report.row(TABLE, "root of a loop that found work", root_of_loop);
}

fn one_trace_an_order(capture: &Capture, report: &mut Report) {
    let mut created: HashMap<&str, TraceId> = HashMap::new();
    for span in capture.spans().filter(|span| span.name == "create_order") {
        if let Some(order) = span.order_id() {
            // A repeated answer is about an order that there is already, and sends nothing.
            if sends(capture, span) {
                created.insert(order, span.trace_id);
            }
        }
    }
    for span in capture
        .spans()
        .filter(|span| span.kind == SpanKind::Consumer)
    {
        let order = span.order_id().unwrap_or_default();
        let elsewhere = created
            .get(order)
            .is_none_or(|trace| *trace != span.trace_id);
        // With JOB_TRACE=link it is in a trace of its own.
        if span.parent_span_id.is_some() && elsewhere {
            report.break_rule(Rule::OneTrace, shown(span));
        }
    }
}

fn sends(capture: &Capture, create: &Span) -> bool {
    let trace = capture
        .traces
        .iter()
        .find(|it| it.trace_id == create.trace_id);
    trace.is_some_and(|trace| {
        let is_send = |span: &&Span| span.kind == SpanKind::Producer;
        trace
            .spans
            .iter()
            .filter(is_send)
            .any(|send| send.parent_span_id == Some(create.span_id))
    })
}
