//! Each span, each metric and each resource against its row.

use std::collections::{BTreeMap, HashMap, HashSet};

use lens::{Attributes, Metric, PointValue, Span, Status, Value};

use super::applies::CARD_DECLINED;
use super::attributes::{Attribute, Presence, own_of_spans};
use super::metrics::{self, Kind, MetricRow};
use super::spans::{self, OUTCOMES, SpanRow};
use super::{Capture, Report, Rule, applies, resource};

/// A metric with more points has an attribute whose set of values is not bounded.
const MAX_POINTS: usize = 100;

pub(super) fn check(capture: &Capture, report: &mut Report) {
    span_rows(capture, report);
    for span in capture.spans() {
        check_span(span, report);
    }
    metric_rows(capture, report);
    for metric in &capture.metrics {
        check_metric(metric, report);
    }
    resources(capture, report);
}

fn span_rows(capture: &Capture, report: &mut Report) {
    let of_row = |row: &SpanRow| -> Vec<&Span> {
        let is_one = |span: &&Span| spans::row_of(span).is_some_and(|it| it.title == row.title);
        capture.spans().filter(is_one).collect()
    };
    for row in spans::ROWS {
        let title = format!("{} {}", lens::kind_name(row.kind), row.title);
        report.row("spans", title, of_row(row).len());
    }
    for row in spans::ROWS {
        attribute_rows(row.title, row.attributes.iter(), &of_row(row), report);
    }
    let all: Vec<&Span> = capture.spans().collect();
    attribute_rows("own attributes", own_of_spans(), &all, report);
    for step in spans::STEPS {
        let seen = all.iter().filter(|span| span.name == *step);
        report.row("steps", *step, seen.count());
    }
    for (kind, name, words) in spans::VALUES {
        for word in *words {
            let says = |span: &&&Span| span.kind == *kind && span.attributes.get_str(name) == Some(*word);
            let seen = all.iter().filter(says).count();
            report.row("values", format!("{name}={word}"), seen);
        }
    }
    outcome_rows(&all, report);
}

fn outcome_rows(spans: &[&Span], report: &mut Report) {
    const TABLE: &str = "ends of a job";
    let jobs = || {
        let spans = spans.iter();
        spans.filter(|span| span.kind == lens::SpanKind::Consumer)
    };
    let completed = jobs().filter(|job| job.attributes.get_str("order.status") == Some("completed"));
    report.row(TABLE, "completed", completed.count());
    let dropped = |job: &&&Span| !job.failed() && job.attributes.get("order.status").is_none();
    let name = "not claimed: final, or claimed by another worker";
    report.row(TABLE, name, jobs().filter(dropped).count());
    let declined = |job: &&&Span| !job.failed() && applies::failure(job) == Some(CARD_DECLINED);
    report.row(TABLE, "declined card, unset", jobs().filter(declined).count());
    let is_waiting = |job: &&&Span| job.attributes.get_str("order.status") == Some("pending");
    let waits_again = |job: &&&Span| !job.failed() && is_waiting(job);
    report.row(TABLE, "waits again, unset", jobs().filter(waits_again).count());
    for word in OUTCOMES.iter().copied().flatten() {
        let seen = jobs().filter(|job| applies::error(job) == Some(*word));
        report.row(TABLE, *word, seen.count());
    }
}

fn attribute_rows<'a>(
    table: &'static str,
    attributes: impl Iterator<Item = &'a Attribute>,
    spans: &[&Span],
    report: &mut Report,
) {
    for attribute in attributes {
        let has = |span: &&&Span| span.attributes.get(attribute.name).is_some();
        report.row(table, attribute.name, spans.iter().filter(has).count());
    }
}

fn check_span(span: &Span, report: &mut Report) {
    let Some(row) = spans::row_of(span) else {
        let what = format!("{} is {}", shown(span), lens::kind_name(span.kind));
        return report.break_rule(Rule::SpanName, what);
    };
    if (row.name)(span).is_none_or(|name| name != span.name) {
        report.break_rule(Rule::SpanName, shown(span));
    }
    check_attributes(span, row, report);
    check_values(span, report);
    check_status(span, report);
    if !span.status_message.is_empty() || !span.events.is_empty() {
        report.break_rule(Rule::Description, shown(span));
    }
    if span.dropped != lens::Dropped::default() {
        report.break_rule(Rule::Dropped, shown(span));
    }
    let text = span.attributes.get_str("db.query.text");
    if text.is_some_and(|text| !is_static(span, text)) {
        report.break_rule(Rule::QueryText, shown(span));
    }
}

fn check_attributes(span: &Span, row: &SpanRow, report: &mut Report) {
    for attribute in row.attributes.iter().chain(own_of_spans()) {
        let applies = match attribute.presence {
            Presence::Always => true,
            Presence::Where(_, applies) => applies(span),
            Presence::Once | Presence::NotOnSpans => false,
        };
        if applies && span.attributes.get(attribute.name).is_none() {
            let what = format!("{} has no {}", shown(span), attribute.name);
            report.break_rule(Rule::AttributeMissing, what);
        }
    }
    let mut names = HashSet::new();
    for (name, value) in span.attributes.iter() {
        let mut known = row.attributes.iter().chain(own_of_spans());
        let known = known.find(|it| it.name == name);
        match known {
            None => {
                let what = format!("{} has {name}={value}", shown(span));
                report.break_rule(Rule::AttributeUnknown, what);
            }
            Some(known) if !known.kind.fits(value) || !names.insert(name) => {
                let what = format!("{} has {name}={value:?}", shown(span));
                report.break_rule(Rule::AttributeType, what);
            }
            Some(_) => {}
        }
    }
}

fn check_values(span: &Span, report: &mut Report) {
    let mut wrong = |name: &str| {
        let value = span.attributes.get(name).cloned().unwrap_or_default();
        let what = format!("{} has {name}={value}", shown(span));
        report.break_rule(Rule::AttributeValue, what);
    };
    for (kind, name, words) in spans::VALUES {
        let value = span.attributes.get_str(name);
        if span.kind == *kind && value.is_some_and(|value| !words.contains(&value)) {
            wrong(name);
        }
    }
    let batch = span.attributes.get("db.operation.batch.size");
    if batch.and_then(Value::as_i64).is_some_and(|size| size < 2) {
        wrong("db.operation.batch.size");
    }
    let state = span.attributes.get_str("db.response.status_code");
    if let (Some(state), false) = (state, spans::is_redis(span)) {
        let is_one = state.len() == 5 && state.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_one || applies::sqlstate(span).is_some_and(|it| it != state) {
            wrong("db.response.status_code");
        }
    }
}

fn check_status(span: &Span, report: &mut Report) {
    let error = applies::error(span);
    let code = applies::status_code(span).unwrap_or_default();
    let must_fail = match span.kind {
        lens::SpanKind::Client => code >= 400,
        _ => code >= 500,
    };
    // An incomplete body fails with any code. A code alone fails a server only from 500 on.
    let failed_by_4xx = span.kind == lens::SpanKind::Server
        && (400..500).contains(&code)
        && error.is_some_and(|error| error == code.to_string());
    let consistent = match span.status {
        Status::Unset => error.is_none() && !must_fail,
        Status::Error => error.is_some() && !failed_by_4xx,
        Status::Ok => false,
    };
    if !consistent {
        let what = format!("{} is {:?}, code {code}, {error:?}", shown(span), span.status);
        report.break_rule(Rule::Status, what);
    }
    let is_known = |error: &str| {
        let row = spans::row_of(span);
        row.is_some_and(|row| row.errors().any(|known| known == error))
    };
    if error.is_some_and(|error| !is_known(error) && error != code.to_string()) {
        let what = format!("{} has {error:?}", shown(span));
        report.break_rule(Rule::ErrorType, what);
    }
}

/// A statement's text has no literal that resembles data; a command's text is the command and its key
/// pattern.
fn is_static(span: &Span, text: &str) -> bool {
    if !spans::is_redis(span) {
        return !has_literal(text);
    }
    let mut words = text.split(' ');
    let operation = span.attributes.get_str("db.operation.name");
    let key = |word: &str| {
        word.split(':')
            .all(|part| part == "cache" || part.starts_with('{'))
    };
    words.next() == operation
        && words.next().is_some_and(key)
        && words.all(|word| word == "?" || word.chars().all(|c| c.is_ascii_uppercase()))
}

/// Whether a statement's text has a literal that resembles data: quoted text that is not one word, interval
/// or piece of JSON, or a long number.
fn has_literal(text: &str) -> bool {
    let without_comment = text.split("/*").next().unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || " _[]{}\",-".contains(c);
    let is_static = |literal: &str| literal.len() <= 12 && literal.chars().all(is_word);
    let mut quoted = without_comment.split('\'').skip(1).step_by(2);
    let mut words = without_comment.split(|c: char| !c.is_ascii_alphanumeric());
    quoted.any(|literal| !is_static(literal))
        || words.any(|word| word.len() > 3 && word.chars().all(|c| c.is_ascii_digit()))
}

pub(super) fn shown(span: &Span) -> String {
    format!("`{}` of {} in {}", span.name, span.service, span.trace_id)
}

fn metric_rows(capture: &Capture, report: &mut Report) {
    let points = |name: &str| {
        let of_name = capture.metrics.iter().filter(move |metric| metric.name == name);
        of_name.flat_map(|metric| &metric.points).collect::<Vec<_>>()
    };
    for row in metrics::ROWS {
        report.row("metrics", row.name, points(row.name).len());
    }
    for (metric, attribute, words) in metrics::VALUES {
        for word in *words {
            let points = points(metric);
            let says = points
                .iter()
                .filter(|point| point.attributes.get_str(attribute) == Some(*word));
            report.row(
                "metric values",
                format!("{metric} {attribute}={word}"),
                says.count(),
            );
        }
    }
}

fn check_metric(metric: &Metric, report: &mut Report) {
    let Some(row) = metrics::row_of(metric) else {
        let what = format!("{} of {}", metric.name, metric.service);
        return report.break_rule(Rule::MetricUnknown, what);
    };
    let what = format!("{} of {}", row.name, metric.service);
    let is_described = row.brief.is_none_or(|brief| brief == metric.description);
    if metric.unit != row.unit || !is_described || !row.kind.fits(metric) || !has_buckets(metric, row.kind) {
        let (kind, unit, description) = (metric.kind, &metric.unit, &metric.description);
        let shape = format!("{what} is {kind:?} in {unit}: {description}");
        report.break_rule(Rule::MetricShape, shape);
    }
    if metric.points.len() > MAX_POINTS {
        let points = metric.points.len();
        report.break_rule(Rule::MetricAttribute, format!("{what} has {points} points"));
    }
    for point in &metric.points {
        if !has_attributes(row, &point.attributes) {
            let attributes = format!("{what} has {}", point.attributes);
            report.break_rule(Rule::MetricAttribute, attributes);
        }
        let error = point.attributes.get_str("error.type");
        if error.is_some_and(|error| !is_error_of(row, error)) {
            report.break_rule(Rule::ErrorType, format!("{what} has {error:?}"));
        }
    }
}

fn is_error_of(row: &MetricRow, error: &str) -> bool {
    let is_code = row.name.starts_with("http.") && error.len() == 3 && error.parse::<u16>().is_ok();
    is_code || spans::errors_of(row.name).any(|word| word == error)
}

fn has_buckets(metric: &Metric, kind: Kind) -> bool {
    let Kind::Histogram(buckets) = kind else {
        return true;
    };
    metric.points.iter().all(|point| match &point.value {
        PointValue::Distribution { bounds, .. } => bounds == buckets,
        PointValue::Int { .. } | PointValue::Double { .. } => false,
    })
}

fn has_attributes(row: &MetricRow, attributes: &Attributes) -> bool {
    let has = |name: &str| attributes.get(name).is_some();
    let known = |name: &str| row.always.contains(&name) || row.allowed.contains(&name);
    // A request has a status code, or failed without a response.
    let has_outcome = !row.allowed.contains(&"http.response.status_code")
        || has("http.response.status_code")
        || has("error.type");
    // A statement has a table; Redis as a cache has none.
    let of_table = attributes.get_str("db.system.name") != Some("postgresql") || has("db.collection.name");
    row.always.iter().all(|name| has(name))
        && has_outcome
        && of_table
        && attributes.iter().all(|(name, _)| known(name))
}

fn resources(capture: &Capture, report: &mut Report) {
    let of_spans = capture.spans().map(|span| &span.resource);
    let of_metrics = capture.metrics.iter().map(|metric| &metric.resource);
    let of_logs = capture.logs.iter().map(|log| &log.resource);
    // A process has the same resource in every export.
    let all: BTreeMap<String, &Attributes> = of_spans
        .chain(of_metrics)
        .chain(of_logs)
        .map(|resource| (resource.to_string(), &**resource))
        .collect();
    let seen = |has: &dyn Fn(&str) -> bool| {
        let with = |resource: &&&Attributes| resource.iter().any(|(name, _)| has(name));
        all.values().filter(with).count()
    };
    for (name, _) in resource::ALWAYS {
        report.row("resource", *name, seen(&|it| it == *name));
    }
    for prefix in resource::PREFIXES {
        report.row(
            "resource",
            format!("{prefix}*"),
            seen(&|it| it.starts_with(prefix)),
        );
    }

    let mut instances: HashMap<String, &str> = HashMap::new();
    for (text, resource) in &all {
        check_resource(text, resource, report);
        let instance = resource.get_str("service.instance.id").unwrap_or_default();
        if let Some(other) = instances.insert(instance.to_owned(), text) {
            report.break_rule(Rule::Instance, format!("{text} and {other}"));
        }
    }
}

fn check_resource(text: &str, resource: &Attributes, report: &mut Report) {
    let complete = resource::ALWAYS.iter().all(|(name, kind)| {
        let value = resource.get(name);
        value.is_some_and(|value| kind.fits(value) && !value.to_string().is_empty())
    });
    let known = |name: &str| {
        resource::ALWAYS.iter().any(|(it, _)| *it == name)
            || resource::PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    if !complete || !resource.iter().all(|(name, _)| known(name)) {
        report.break_rule(Rule::Resource, text);
    }
}
