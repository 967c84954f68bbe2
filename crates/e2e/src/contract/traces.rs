//! Rules between the spans of a trace.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use lens::{Link, Span, SpanId, SpanKind, Trace, TraceId, Value};

use super::rows::shown;
use super::{Capture, Inbound, Report, Rule, applies, spans};

const MAX_INTERNAL: usize = 10;
const MAX_SHORT: usize = 20;
/// For each attempt after the first: its claim, payment and outcome.
const MAX_SHORT_AGAIN: usize = 12;
const SHORT_SPAN: Duration = Duration::from_millis(5);
/// The names of the root spans of loops.
const LOOPS: &[&str] = &["reconcile_orders", "execute_operation"];

pub(super) fn check(capture: &Capture, report: &mut Report) {
    for trace in &capture.traces {
        parents(capture, trace, report);
        roots(capture, trace, report);
        bounds(trace, report);
        confirmations(capture, trace, report);
    }
    let index = Index::of(capture);
    for span in capture.spans() {
        match span.kind {
            SpanKind::Server => inbound(capture, span, report),
            SpanKind::Consumer => {
                if span.failed() && applies::failure(span) == Some(applies::CARD_DECLINED) {
                    report.break_rule(Rule::Declined, shown(span));
                }
                sender_link(&index, span, report);
                attempt_link(&index, span, report);
            }
            SpanKind::Client => resend(&index, span, report),
            _ => {}
        }
    }
    one_trace_an_order(&index, report);
    rows(&index, report);
}

/// Every span by its id, across traces, because links lead from one trace to another.
struct Index<'a> {
    capture: &'a Capture,
    spans: HashMap<(TraceId, SpanId), &'a Span>,
}

impl<'a> Index<'a> {
    fn of(capture: &'a Capture) -> Self {
        let spans = capture.spans();
        let spans = spans.map(|span| ((span.trace_id, span.span_id), span));
        Self {
            capture,
            spans: spans.collect(),
        }
    }

    fn parent(&self, span: &Span) -> Option<&'a Span> {
        let parent = span.parent_span_id?;
        self.spans.get(&(span.trace_id, parent)).copied()
    }

    fn linked(&self, link: &Link) -> Option<&'a Span> {
        self.spans.get(&(link.trace_id, link.span_id)).copied()
    }

    /// The span that sent a job: the parent of its process span, or with JOB_TRACE=link the span it links to.
    fn sender(&self, process: &Span) -> Option<&'a Span> {
        let sends = |span: &&Span| span.kind == SpanKind::Producer;
        match self.capture.inbound_of(&process.resource) {
            Inbound::Parent => self.parent(process).filter(sends),
            Inbound::Link | Inbound::Ignore => {
                let linked = process.links.iter().filter_map(|link| self.linked(link));
                linked.into_iter().find(sends)
            }
        }
    }
}

fn by_id(trace: &Trace) -> HashMap<SpanId, &Span> {
    trace.spans.iter().map(|span| (span.span_id, span)).collect()
}

fn parents(capture: &Capture, trace: &Trace, report: &mut Report) {
    let known = by_id(trace);
    let killed = |span: &Span| capture.was_killed(&span.resource);
    let one_was_killed = trace.spans.iter().any(killed);
    for span in &trace.spans {
        let Some(parent) = span.parent_span_id else {
            continue;
        };
        // A killed process loses the client span of a call whose server span exists.
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

/// Whether the loop sent a job again meanwhile; that span is in the order's trace. An operation is work, even
/// if it changes no order: its span is made once there is one.
fn found_work(capture: &Capture, root: &Span) -> bool {
    if root.name == "execute_operation" {
        return true;
    }
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
        if count > MAX_INTERNAL {
            let what = format!("{count} of {service} in {}", trace.trace_id);
            report.break_rule(Rule::InternalSpans, what);
        }
    }
    let short = trace.spans.iter().filter(|span| span.duration() < SHORT_SPAN);
    let count = short.count();
    let attempts = trace.spans.iter().filter(|span| span.kind == SpanKind::Consumer);
    if count > MAX_SHORT + MAX_SHORT_AGAIN * attempts.count().saturating_sub(1) {
        report.break_rule(Rule::ShortSpans, format!("{count} in {}", trace.trace_id));
    }
}

/// A request treats its caller's trace as TRACE_INBOUND says.
fn inbound(capture: &Capture, span: &Span, report: &mut Report) {
    let (parent, links) = (span.parent_span_id, &span.links);
    let as_configured = match capture.inbound_of(&span.resource) {
        Inbound::Parent => links.is_empty(),
        Inbound::Link => {
            let of_callers = links.iter().all(|link| capture.callers.contains(&link.span_id));
            parent.is_none() && of_callers
        }
        Inbound::Ignore => parent.is_none() && links.is_empty(),
    };
    if !as_configured {
        report.break_rule(Rule::Inbound, shown(span));
    }
}

/// A process span links to the span that sent its job. A killed worker may have lost the send span.
fn sender_link(index: &Index<'_>, process: &Span, report: &mut Report) {
    let links_to = |id: SpanId| process.links.iter().any(|link| link.span_id == id);
    let inbound = index.capture.inbound_of(&process.resource);
    let as_configured = match (inbound, process.parent_span_id) {
        (Inbound::Parent, Some(parent)) => {
            let is_lost = index.parent(process).is_none() && !index.capture.killed.is_empty();
            links_to(parent) && (is_lost || index.sender(process).is_some())
        }
        (Inbound::Link, None) => index.sender(process).is_some(),
        _ => false,
    };
    if !as_configured {
        report.break_rule(Rule::Links, shown(process));
    }
}

/// A redelivered job links to the attempt before it. A killed worker may have lost that attempt's span.
fn attempt_link(index: &Index<'_>, process: &Span, report: &mut Report) {
    let number = attempt(process);
    let is_the_one_before = |link: &&Link| match index.linked(link) {
        Some(span) => {
            span.kind == SpanKind::Consumer
                && span.order_id() == process.order_id()
                && attempt(span) == number - 1
        }
        None => !index.capture.killed.is_empty(),
    };
    let before = process.links.iter().filter(is_the_one_before).count();
    let expected = usize::from(number > 1);
    if before != expected || process.links.len() != expected + 1 {
        let links = process.links.len();
        let what = format!("{}, attempt {number}, {links} links", shown(process));
        report.break_rule(Rule::Attempts, what);
    }
}

fn attempt(process: &Span) -> i64 {
    let attempt = process.attributes.get("queue.attempt");
    attempt.and_then(Value::as_i64).unwrap_or_default()
}

/// The last segment of a payment call's path: `confirm`, `cancel`, `payment_intents` or an id.
fn action(call: &Span) -> Option<&str> {
    let url = call.attributes.get_str("url.full")?;
    let path = url.split('?').next()?;
    path.contains("/v1/payment_intents")
        .then(|| path.rsplit('/').next())
        .flatten()
}

/// The other spans of its parent that began before it.
fn before<'a>(trace: &'a Trace, call: &Span) -> impl Iterator<Item = &'a Span> {
    let (parent, began) = (call.parent_span_id, call.start_unix_nano);
    let mut siblings = trace.spans.iter();
    std::iter::from_fn(move || {
        siblings.find(|span| span.parent_span_id == parent && span.start_unix_nano < began)
    })
}

fn confirmations(capture: &Capture, trace: &Trace, report: &mut Report) {
    let is_confirmation = |span: &&Span| span.kind == SpanKind::Client && action(span) == Some("confirm");
    for call in trace.spans.iter().filter(is_confirmation) {
        let records = |span: &Span| span.name == "UPDATE orders" || span.name == "GET";
        if !before(trace, call).any(records) && !capture.was_killed(&call.resource) {
            report.break_rule(Rule::Unrecorded, shown(call));
        }
    }
}

/// Each earlier attempt has made the same call; its number is the call's resend count.
fn resend(index: &Index<'_>, call: &Span, report: &mut Report) {
    if call.attributes.get("url.full").is_none() {
        return;
    }
    let mut above = index.parent(call);
    while let Some(span) = above.filter(|span| span.kind != SpanKind::Consumer) {
        above = index.parent(span);
    }
    let resends = call.attributes.get("http.request.resend_count");
    let resends = resends.and_then(Value::as_i64).unwrap_or_default();
    // A second call of an attempt to the same URL has another idempotency key, and was never sent before.
    let url = call.attributes.get_str("url.full");
    let is_new = || {
        index.spans.values().any(|span| {
            let same = span.parent_span_id == call.parent_span_id && span.trace_id == call.trace_id;
            same && span.start_unix_nano < call.start_unix_nano && span.attributes.get_str("url.full") == url
        })
    };
    if above.is_some_and(|process| attempt(process) - 1 != resends && !(resends == 0 && is_new())) {
        report.break_rule(Rule::Resend, format!("{}: {resends}", shown(call)));
    }
}

/// How often each situation that a rule covers was seen.
fn rows(index: &Index<'_>, report: &mut Report) {
    const TABLE: &str = "situations";
    let capture = index.capture;
    let count = |is: &dyn Fn(&Span) -> bool| capture.spans().filter(|span| is(span)).count();
    let code = |span: &Span, from: i64, to: i64| {
        applies::status_code(span).is_some_and(|code| (from..to).contains(&code))
    };
    let error = |span: &Span, word: &str| applies::error(span) == Some(word);
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
        ("statement that was cancelled", SpanKind::Client, "cancelled"),
        ("call that timed out", SpanKind::Client, "timeout"),
    ] {
        let seen = count(&|span| span.kind == kind && error(span, word));
        report.row(TABLE, what, seen);
    }
    let process = |span: &Span, inbound| {
        span.kind == SpanKind::Consumer && capture.inbound_of(&span.resource) == inbound
    };
    for (what, inbound) in [
        ("process, child of its send span and linked", Inbound::Parent),
        ("process, a root that only links", Inbound::Link),
    ] {
        report.row(TABLE, what, count(&|span| process(span, inbound)));
    }
    let is_attempt = |link: &Link| {
        let linked = index.linked(link);
        linked.is_some_and(|span| span.kind == SpanKind::Consumer)
    };
    let retried = count(&|span| span.links.iter().any(is_attempt));
    report.row(TABLE, "process, linked to the attempt before", retried);
    let dispatched_again = count(&|span| span.attributes.get("queue.reason").is_some());
    report.row(TABLE, "send again, in the order's trace", dispatched_again);
    let of_caller = count(&|span| {
        let parent = span.parent_span_id;
        parent.is_some_and(|parent| capture.callers.contains(&parent))
    });
    report.row(TABLE, "child of a caller's span", of_caller);
    let received =
        |span: &Span, inbound| span.kind == SpanKind::Server && capture.inbound_of(&span.resource) == inbound;
    let linked = count(&|span| received(span, Inbound::Link) && !span.links.is_empty());
    report.row(TABLE, "root that links to a caller's span", linked);
    let ignored = count(&|span| received(span, Inbound::Ignore));
    report.row(TABLE, "root that ignores a caller's span", ignored);
    payments(capture, report);
    let root_of_loop = count(&|span| span.parent_span_id.is_none() && is_loop(span));
    report.row(TABLE, "root of a loop that found work", root_of_loop);
}

fn payments(capture: &Capture, report: &mut Report) {
    const TABLE: &str = "payments";
    let calls = |what: &str, has: &dyn Fn(&str, &str) -> bool, report: &mut Report| {
        let calls = capture.spans().filter(|span| span.kind == SpanKind::Client);
        let seen = calls.filter(|span| action(span).is_some_and(|action| has(&span.name, action)));
        report.row(TABLE, what, seen.count());
    };
    calls(
        "created",
        &|name, action| name == "POST" && action == "payment_intents",
        report,
    );
    calls("confirmed", &|_, action| action == "confirm", report);
    calls(
        "read after a doubt",
        &|name, action| name == "GET" && action.starts_with("pi_"),
        report,
    );
    calls(
        "cancelled before the order failed",
        &|_, action| action == "cancel",
        report,
    );
    let children: HashSet<(TraceId, Option<SpanId>)> = capture
        .spans()
        .filter(|span| span.kind == SpanKind::Client)
        .map(|span| (span.trace_id, span.parent_span_id))
        .collect();
    let without_request = capture.spans().filter(|span| {
        span.name == "process_payment" && !children.contains(&(span.trace_id, Some(span.span_id)))
    });
    report.row(
        TABLE,
        "without a request: the breaker is open",
        without_request.count(),
    );
}

fn one_trace_an_order(index: &Index<'_>, report: &mut Report) {
    let mut created: HashMap<&str, TraceId> = HashMap::new();
    for span in index.capture.spans() {
        if span.kind != SpanKind::Producer {
            continue;
        }
        // The parent of each send span, also of later ones, is the span that created the order.
        match index.parent(span).filter(|it| it.name == "create_order") {
            Some(create) => {
                let order = create.order_id().unwrap_or_default();
                created.insert(order, create.trace_id);
            }
            None => report.break_rule(Rule::OneTrace, shown(span)),
        }
    }
    for span in index.capture.spans() {
        if span.kind != SpanKind::Consumer {
            continue;
        }
        let of_order = created.get(span.order_id().unwrap_or_default());
        // With JOB_TRACE=link it is in a separate trace that links to the order's.
        let belongs_to = match index.capture.inbound_of(&span.resource) {
            Inbound::Parent => Some(span.trace_id),
            Inbound::Link | Inbound::Ignore => index.sender(span).map(|send| send.trace_id),
        };
        if of_order.is_none() || of_order != belongs_to.as_ref() {
            report.break_rule(Rule::OneTrace, shown(span));
        }
    }
}
