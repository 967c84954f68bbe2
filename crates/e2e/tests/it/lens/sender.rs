//! Services that send telemetry to lens, as OTLP/JSON.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::operator::Operator;

/// A lens, a developer at its pages, and the services that send to it.
pub(super) struct Desk {
    pub(super) lens: testkit::Lens,
    pub(super) developer: Operator,
    http: reqwest::Client,
    /// Nanoseconds since the Unix epoch: ten seconds ago. All times of the test count from here.
    start: u128,
}

/// The span kinds of OTLP.
pub(super) const INTERNAL: u8 = 1;
pub(super) const SERVER: u8 = 2;
pub(super) const CLIENT: u8 = 3;
pub(super) const PRODUCER: u8 = 4;
pub(super) const CONSUMER: u8 = 5;

/// A span in milliseconds after the start of the test.
pub(super) struct Span {
    pub(super) trace: u32,
    pub(super) id: u32,
    /// 0 for none.
    pub(super) parent: u32,
    pub(super) name: &'static str,
    pub(super) kind: u8,
    pub(super) at: Range<u32>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) error: Option<&'static str>,
}

impl Desk {
    pub(super) async fn open() -> Self {
        // It fails in all tests of this process but the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let lens = testkit::lens().await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        Self {
            developer: Operator::at(&lens.page_url()).await,
            lens,
            http: reqwest::Client::new(),
            start: now - 10_000_000_000,
        }
    }

    pub(super) async fn spans(&self, service: &str, spans: impl IntoIterator<Item = Span>) {
        let spans: Vec<Value> = spans.into_iter().map(|span| self.span(&span)).collect();
        self.export(service, "traces", json!({ "spans": spans })).await;
    }

    /// Records in milliseconds after the start: trace and span, or 0 for none, severity number and text.
    pub(super) async fn logs(&self, service: &str, records: &[(u32, u32, u32, u8, &str)]) {
        let record = |(at, trace, span, severity, body): &(u32, u32, u32, u8, &str)| {
            json!({
                "timeUnixNano": self.time(*at),
                "severityNumber": severity,
                "body": { "stringValue": body },
                "attributes": attributes(&[("thread", json!("main"))]),
                "traceId": if *trace == 0 { String::new() } else { trace_id(*trace) },
                "spanId": if *span == 0 { String::new() } else { span_id(*span) },
            })
        };
        let records: Vec<Value> = records.iter().map(record).collect();
        self.export(service, "logs", json!({ "logRecords": records }))
            .await;
    }

    pub(super) async fn metrics(&self, service: &str, metrics: Vec<Value>) {
        self.export(service, "metrics", json!({ "metrics": metrics }))
            .await;
    }

    /// Any scope of this signal.
    pub(super) async fn export(&self, service: &str, signal: &str, mut scope: Value) {
        let (resources, scopes) = match signal {
            "traces" => ("resourceSpans", "scopeSpans"),
            "logs" => ("resourceLogs", "scopeLogs"),
            _ => ("resourceMetrics", "scopeMetrics"),
        };
        scope["scope"] = json!({ "name": format!("{service}.library") });
        let resource = attributes(&[
            ("service.name", json!(service)),
            ("service.instance.id", json!("one")),
        ]);
        let body = json!({ resources: [{ "resource": { "attributes": resource }, scopes: [scope] }] });
        let url = format!("{}/v1/{signal}", self.lens.otlp_http_url());
        let response = self.http.post(url).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    }

    /// Nanoseconds since the Unix epoch, as OTLP/JSON writes them.
    pub(super) fn time(&self, milliseconds: u32) -> String {
        (self.start + u128::from(milliseconds) * 1_000_000).to_string()
    }

    fn span(&self, span: &Span) -> Value {
        json!({
            "traceId": trace_id(span.trace),
            "spanId": span_id(span.id),
            "parentSpanId": if span.parent == 0 { String::new() } else { span_id(span.parent) },
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": self.time(span.at.start),
            "endTimeUnixNano": self.time(span.at.end),
            "attributes": attributes(&span.attributes),
            "status": span.error.map_or(json!({}), |error| json!({ "code": 2, "message": error })),
        })
    }
}

/// A span without attributes.
pub(super) fn span(trace: u32, id: u32, parent: u32, name: &'static str, kind: u8, at: Range<u32>) -> Span {
    Span {
        trace,
        id,
        parent,
        name,
        kind,
        at,
        attributes: Vec::new(),
        error: None,
    }
}

pub(super) fn trace_id(trace: u32) -> String {
    format!("{trace:032x}")
}

pub(super) fn span_id(span: u32) -> String {
    format!("{span:016x}")
}

pub(super) fn attributes(pairs: &[(&str, Value)]) -> Value {
    let value = |value: &Value| match value {
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        number => json!({ "doubleValue": number }),
    };
    pairs
        .iter()
        .map(|(key, one)| json!({ "key": key, "value": value(one) }))
        .collect()
}

/// An order of three services that takes 41 ms; most of it is a statement of PostgreSQL.
pub(super) async fn order(desk: &Desk, trace: u32, order: &'static str, slow: u32) {
    let statement = |id, parent, name, at| Span {
        attributes: vec![("db.system.name", json!("postgresql"))],
        ..span(trace, id, parent, name, CLIENT, at)
    };
    let end = 30 + slow;
    desk.spans(
        "shop-api",
        [
            Span {
                attributes: vec![("order.id", json!(order)), ("http.route", json!("/api/orders"))],
                ..span(trace, 1, 0, "POST /api/orders", SERVER, 0..9)
            },
            statement(2, 1, "INSERT orders", 1..5),
            span(trace, 3, 1, "send orders", PRODUCER, 6..8),
        ],
    )
    .await;
    desk.spans(
        "shop-worker",
        [
            Span {
                attributes: vec![("order.id", json!(order))],
                ..span(trace, 4, 3, "process orders", CONSUMER, 10..end)
            },
            statement(5, 4, "UPDATE orders", 11..(11 + slow)),
            span(trace, 6, 4, "pay", CLIENT, (12 + slow)..(28 + slow)),
        ],
    )
    .await;
    desk.spans(
        "bank",
        [span(
            trace,
            7,
            6,
            "POST /charges",
            SERVER,
            (13 + slow)..(27 + slow),
        )],
    )
    .await;
}
