//! The list and the waterfalls.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use reqwest::StatusCode;
use throughline_lens::Lens;

use crate::otlp;
use crate::support::{get, lens};

const ORDER: &str = "0192f0c1-2a3b-7c4d-8e5f-60718293a4b5";
const TRACE: &str = "00000000000000000000000000000001";

async fn send(lens: &Lens, service: &str, spans: Vec<Span>) {
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    client.export(otlp::spans(service, spans)).await.unwrap();
}

async fn page(lens: &Lens, path: &str) -> String {
    let response = get(format!("{}{path}", lens.page_url())).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.unwrap()
}

/// An order whose card is declined, in three services.
async fn send_an_order(lens: &Lens) {
    use SpanKind::{Client, Consumer, Internal, Producer, Server};
    let link = |span| Link {
        trace_id: otlp::trace_id(1),
        span_id: otlp::span_id(span),
        ..Link::default()
    };
    let declined = Status {
        code: SpanStatus::Error.into(),
        message: "Your card was declined.".to_owned(),
    };
    let order = vec![otlp::text("order.id", ORDER)];
    send(
        lens,
        "throughline-worker",
        vec![
            otlp::span(6, 5, "UPDATE orders", Client, 4_900..5_800),
            otlp::span(7, 5, "validate_high_value_order", Internal, 5_900..5_930),
            otlp::span(9, 8, "POST", Client, 6_100..46_000),
            Span {
                status: Some(declined),
                attributes: vec![otlp::text("error.type", "card_declined")],
                ..otlp::span(8, 5, "process_payment", Internal, 6_000..46_200)
            },
            otlp::span(11, 5, "UPDATE orders", Client, 46_300..47_300),
            Span {
                links: vec![link(4)],
                ..otlp::span(5, 4, "process orders", Consumer, 4_700..48_130)
            },
        ],
    )
    .await;
    send(
        lens,
        "throughline-gateway",
        vec![otlp::span(
            10,
            9,
            "POST /v1/payment_intents",
            Server,
            6_600..45_500,
        )],
    )
    .await;
    send(
        lens,
        "throughline-api",
        vec![
            otlp::span(3, 2, "INSERT orders", Client, 310..1_330),
            otlp::span(4, 2, "send orders", Producer, 1_900..2_510),
            otlp::span(2, 1, "create_order", Internal, 200..2_900),
            Span {
                attributes: order,
                ..otlp::span(1, 0, "POST /api/orders", Server, 0..3_100)
            },
        ],
    )
    .await;
}

#[tokio::test]
async fn the_text_waterfall_reads_from_request_to_payment() {
    let lens = lens().await;
    send_an_order(&lens).await;
    let mut logs = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let records = vec![
        otlp::log(1, 9, "below the level of the drawing"),
        otlp::log(1, 17, "the card was declined"),
    ];
    logs.export(otlp::logs("throughline-worker", records))
        .await
        .unwrap();

    let drawn = page(&lens, &format!("/traces/{TRACE}.txt")).await;
    let expected = include_str!("an_order.txt");
    assert_eq!(drawn, expected, "\n{drawn}");
    assert!(drawn.lines().skip(1).all(|line| line.chars().count() <= 120));
}

#[tokio::test]
async fn a_span_without_its_parent_is_drawn_and_marked() {
    let lens = lens().await;
    let far = Link {
        trace_id: otlp::trace_id(7),
        span_id: otlp::span_id(8),
        ..Link::default()
    };
    let orphan = Span {
        links: vec![far],
        ..otlp::span(5, 4, "process orders", SpanKind::Consumer, 0..10)
    };
    send(&lens, "worker", vec![orphan]).await;
    let drawn = page(&lens, &format!("/traces/{TRACE}.txt")).await;
    let notes: Vec<&str> = drawn.lines().skip(3).map(str::trim).collect();
    let link = "→ links to span 0000000000000008 of trace 00000000000000000000000000000007";
    assert_eq!(notes, ["(parent not received)", link]);
    assert!(
        page(&lens, &format!("/traces/{TRACE}"))
            .await
            .contains("(parent not received)")
    );
}

#[tokio::test]
async fn received_text_cannot_become_markup_or_move_the_cursor() {
    let lens = lens().await;
    let evil = "<script>alert(1)</script>\x1b[2J";
    let span = Span {
        attributes: vec![otlp::text("order.id", evil), otlp::text(evil, "\"><img src=x>")],
        ..otlp::span(1, 0, evil, SpanKind::Server, 0..10)
    };
    send(&lens, evil, vec![span]).await;
    for path in ["/", "/?q=%22%3E%3Cscript%3E", &format!("/traces/{TRACE}")] {
        let html = page(&lens, path).await;
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }
    assert!(
        page(&lens, &format!("/traces/{TRACE}"))
            .await
            .contains("&lt;script&gt;alert(1)&lt;/script&gt;")
    );
    assert!(
        !page(&lens, &format!("/traces/{TRACE}.txt"))
            .await
            .contains('\x1b')
    );
}

#[tokio::test]
async fn pages_have_a_strict_policy_and_no_inline_style() {
    let lens = lens().await;
    send_an_order(&lens).await;
    for path in [
        "/",
        &format!("/traces/{TRACE}"),
        &format!("/traces/{TRACE}.txt"),
        "/api/traces",
        "/nowhere",
    ] {
        let response = get(format!("{}{path}", lens.page_url())).await;
        let headers = response.headers();
        assert!(
            headers["content-security-policy"]
                .to_str()
                .unwrap()
                .starts_with("default-src 'none'"),
            "{path}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!response.text().await.unwrap().contains("style="));
    }
    assert_eq!(
        get(format!("{}/assets/lens.css", lens.page_url()))
            .await
            .headers()["content-type"],
        "text/css; charset=utf-8"
    );
}

#[tokio::test]
async fn the_search_finds_an_order_and_redirects_to_a_trace() {
    let lens = lens().await;
    send_an_order(&lens).await;
    assert!(
        page(&lens, &format!("/?q={ORDER}&service="))
            .await
            .contains(&format!("/traces/{TRACE}"))
    );
    assert!(page(&lens, "/?q=another").await.contains("No matching trace yet"));
    let response = get(format!("{}/?q=%20{TRACE}", lens.page_url())).await;
    assert_eq!(
        (
            response.status(),
            response.headers()["location"].to_str().unwrap()
        ),
        (StatusCode::SEE_OTHER, &*format!("/traces/{TRACE}"))
    );
}

#[tokio::test]
async fn an_unknown_trace_is_a_404_on_every_page() {
    let lens = lens().await;
    for path in [format!("/traces/{TRACE}"), format!("/traces/{TRACE}.txt")] {
        assert_eq!(
            get(format!("{}{path}", lens.page_url())).await.status(),
            StatusCode::NOT_FOUND
        );
    }
    assert_eq!(
        get(format!("{}/traces/nonsense", lens.page_url())).await.status(),
        StatusCode::BAD_REQUEST
    );
}
