//! The sandbox's telemetry: one server span for each request, in the caller's trace, without card data.

use std::io::{BufReader, Read};

use lens::{Lens, LensConfig, SpanKind, Status};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{KEY, json};
use crate::program::{listens_at, program};

const CARD_NUMBER: &str = "4242424242424242";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_SPAN_ID: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_request_is_one_span_of_the_callers_trace_and_no_card_leaves_the_process() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let any_port = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        ..LensConfig::default()
    };
    let lens = Lens::start(any_port).await.unwrap();
    let environment = [
        ("PORT", "0"),
        ("OTEL_SDK_DISABLED", "false"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &lens.otlp_http_url()),
    ];
    let mut child = program(&environment).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let address = listens_at(&mut output);

    let http = reqwest::Client::new();
    let post = async |path: &str, form: &[(&str, &str)]| {
        let request = http.post(format!("http://{address}{path}")).form(form);
        let traceparent = format!("00-{TRACE_ID}-{CALLER_SPAN_ID}-01");
        let request = request.bearer_auth(KEY).header("traceparent", traceparent);
        request.send().await.unwrap()
    };
    let create = async |card: &str, confirm: &str| {
        let form = [
            ("amount", "1500"),
            ("currency", "usd"),
            ("payment_method", card),
            ("confirm", confirm),
            ("metadata[order_id]", "order-1"),
        ];
        post("/v1/payment_intents", &form).await
    };
    assert_eq!(create("pm_card_visa", "true").await.status(), 200);
    assert_eq!(create("pm_card_chargeDeclined", "true").await.status(), 402);
    assert_eq!(create(CARD_NUMBER, "true").await.status(), 400);
    let intent = json(create("pm_card_visa", "false").await).await;
    let path = format!("/v1/payment_intents/{}/confirm", intent["id"].as_str().unwrap());
    assert_eq!(post(&path, &[]).await.status(), 200);
    http.get(format!("http://{address}/health")).send().await.unwrap();
    // The shutdown exports the remaining spans.
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let traces = lens.store().traces();
    assert_eq!(traces.len(), 1, "{traces:?}");
    let mut statuses = Vec::new();
    for span in &traces[0].spans {
        assert_eq!(span.trace_id.to_string(), TRACE_ID);
        assert_eq!(span.parent_span_id.unwrap().to_string(), CALLER_SPAN_ID);
        assert_eq!(span.service, "throughline-gateway");
        assert_eq!((span.kind, span.status), (SpanKind::Server, Status::Unset));
        let status = span
            .attributes
            .get("http.response.status_code")
            .unwrap()
            .as_i64()
            .unwrap();
        // A rejected request makes no payment.
        assert_eq!(span.attributes.get_str("payment.id").is_some(), status != 400);
        assert_eq!(span.attributes.get_str("order.id").is_some(), status != 400);
        statuses.push((span.name.as_ref(), status));
    }
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [
            ("POST /v1/payment_intents", 200),
            ("POST /v1/payment_intents", 200),
            ("POST /v1/payment_intents", 400),
            ("POST /v1/payment_intents", 402),
            ("POST /v1/payment_intents/{id}/confirm", 200),
        ]
    );

    let mut output_text = String::new();
    output.read_to_string(&mut output_text).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut output_text)
        .unwrap();
    let reported = format!("{output_text} {traces:?} {:?}", lens.store().logs());
    for secret in ["pm_card", CARD_NUMBER, KEY] {
        assert!(!reported.contains(secret), "{secret} in {reported}");
    }
}
