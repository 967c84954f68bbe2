//! The list and the waterfalls.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use reqwest::StatusCode;
use throughline_lens::{Lens, LensConfig};

use crate::otlp;
use crate::support::{get, lens, lens_with};

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
    let notes: Vec<&str> = drawn.lines().skip(4).map(str::trim).collect();
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
    let trace = format!("/traces/{TRACE}");
    for path in [
        "/",
        "/?q=%22%3E%3Cscript%3E",
        "/logs",
        "/metrics",
        "/map",
        "/compare",
        &trace,
    ] {
        let html = page(&lens, path).await;
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert!(!html.contains("<img src=x") && !html.contains('\x1b'), "{html}");
    }
    assert!(
        page(&lens, &trace)
            .await
            .contains("&#60;script&#62;alert(1)&#60;/script&#62;")
    );
    assert!(!page(&lens, &format!("{trace}.txt")).await.contains('\x1b'));
}

#[tokio::test]
async fn pages_have_a_strict_policy_and_no_inline_style() {
    let lens = lens().await;
    send_an_order(&lens).await;
    let trace = format!("/traces/{TRACE}");
    let text = format!("{trace}.txt");
    for path in [
        "/",
        "/logs",
        "/metrics",
        "/map",
        "/compare",
        &trace,
        &text,
        "/api/traces",
        "/nowhere",
    ] {
        let response = get(format!("{}{path}", lens.page_url())).await;
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}"
        );
        assert!(
            policy.ends_with("frame-ancestors http://127.0.0.1:* http://localhost:*"),
            "{path}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let html = response.text().await.unwrap();
        assert!(!html.contains("style=") && !html.contains("onclick"), "{path}");
    }
    for (path, media_type) in [
        ("/assets/ui.css", "text/css; charset=utf-8"),
        ("/assets/ui.js", "text/javascript; charset=utf-8"),
        ("/assets/lens.js", "text/javascript; charset=utf-8"),
        ("/assets/logo.svg", "image/svg+xml"),
    ] {
        let response = get(format!("{}{path}", lens.page_url())).await;
        assert_eq!(response.headers()["content-type"], media_type);
    }
}

#[tokio::test]
async fn the_search_finds_an_order_and_redirects_to_a_trace() {
    let lens = lens().await;
    send_an_order(&lens).await;
    for q in [
        ORDER.to_owned(),
        format!("order.id%3D{ORDER}"),
        "error%20duration%3E1ms".to_owned(),
    ] {
        let list = page(&lens, &format!("/?q={q}&service=")).await;
        assert!(list.contains(&format!("/traces/{TRACE}")), "{q}");
    }
    let other = page(&lens, "/?q=another").await;
    assert!(other.contains("No trace matches this search"));
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
async fn a_search_that_is_not_valid_is_explained_in_place() {
    let lens = lens().await;
    let page_of = |path: &'static str| page(&lens, path);
    assert!(
        page_of("/?q=duration%3E10")
            .await
            .contains("duration takes a number with ns")
    );
    assert!(
        page_of("/?longer=soon")
            .await
            .contains("duration takes a number with ns")
    );
    assert!(
        page_of("/logs?q=kind%3Dserver")
            .await
            .contains("log records have no root")
    );
    for path in ["/?last=soon", "/?after=soon", "/logs?last=soon"] {
        let response = get(format!("{}{path}", lens.page_url())).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    }
}

#[tokio::test]
async fn an_unknown_trace_is_a_404_on_every_page() {
    let lens = lens().await;
    let text = format!("/traces/{TRACE}.txt");
    for path in [&format!("/traces/{TRACE}"), &text, &format!("/compare?a={TRACE}")] {
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

#[tokio::test]
async fn a_large_trace_is_shown_in_parts_and_a_link_to_a_span_leads_to_its_part() {
    let lens = lens().await;
    let spans = (1..=1_200).map(|id| otlp::span(id, id - 1, "deep", SpanKind::Internal, id..5_000));
    send(&lens, "deep", spans.collect()).await;
    let rows = |html: &str| html.matches("<details id=\"span-").count();
    let first = page(&lens, &format!("/traces/{TRACE}")).await;
    assert_eq!(rows(&first), 500);
    assert_eq!(rows(&page(&lens, &format!("/traces/{TRACE}?page=3")).await), 200);
    assert_eq!(rows(&page(&lens, &format!("/traces/{TRACE}?page=99")).await), 0);
    let linked = page(&lens, &format!("/traces/{TRACE}?span={:016x}", 1_100)).await;
    assert!(linked.contains(&format!(
        "<details id=\"span-{:016x}\" class=\"span c0\" open>",
        1_100
    )));
    assert!(!first.contains(" open>"));
}

#[tokio::test]
async fn two_traces_are_compared_span_by_span() {
    let lens = lens().await;
    send_an_order(&lens).await;
    let other = |id, parent, name, times| Span {
        trace_id: otlp::trace_id(2),
        ..otlp::span(id, parent, name, SpanKind::Server, times)
    };
    let spans = vec![
        other(1, 0, "POST /api/orders", 0..10_000),
        other(2, 1, "authenticate", 0..4_000),
    ];
    send(&lens, "throughline-api", spans).await;
    let b = otlp::trace_id(2)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let choice = page(&lens, &format!("/compare?a={TRACE}")).await;
    assert!(choice.contains(&format!("/compare?a={TRACE}&amp;b={b}")));
    let compared = page(&lens, &format!("/compare?a={TRACE}&b={b}")).await;
    for text in [
        "B took 38.1 ms shorter than A",
        "+6.9 ms",
        "only in A",
        "only in B",
    ] {
        assert!(compared.contains(text), "{text}: {compared}");
    }
}

#[tokio::test]
async fn a_live_part_is_sent_when_telemetry_arrives() {
    let lens = lens().await;
    let mut stream = get(format!("{}/live/traces", lens.page_url())).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut received = String::new();
    let mut sent = false;
    while !received.contains("create_order") {
        let bytes = stream.chunk().await.unwrap().unwrap();
        received.push_str(std::str::from_utf8(&bytes).unwrap());
        if received.contains("lens has received no trace yet") && !sent {
            sent = true;
            send(
                &lens,
                "api",
                vec![otlp::span(2, 0, "create_order", SpanKind::Internal, 0..10)],
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a_span_shows_the_links_of_other_traces_to_it() {
    let lens = lens().await;
    let linking = Span {
        trace_id: otlp::trace_id(7),
        links: vec![Link {
            trace_id: otlp::trace_id(1),
            span_id: otlp::span_id(2),
            ..Link::default()
        }],
        ..otlp::span(9, 0, "process <orders>", SpanKind::Consumer, 0..10)
    };
    send(&lens, "worker", vec![linking]).await;
    send(
        &lens,
        "api",
        vec![otlp::span(2, 0, "send orders", SpanKind::Producer, 0..10)],
    )
    .await;
    let from = format!("/traces/{:032x}?span={:016x}#span-{:016x}", 7, 9, 9);
    let shown = page(&lens, &format!("/traces/{TRACE}")).await;
    let link = format!("Linked from <a href=\"{from}\" dir=\"auto\">process &#60;orders&#62;</a>");
    assert!(shown.contains(&link), "{shown}");
    assert!(page(&lens, "/").await.contains("<div id=\"receiving\""));
}

#[tokio::test]
async fn the_navigation_leads_to_the_control_room_where_one_runs() {
    let alone = lens().await;
    assert!(!page(&alone, "/").await.contains("System"));
    let system_url = Some("http://127.0.0.1:8110/".to_owned());
    let config = LensConfig {
        system_url,
        ..LensConfig::default()
    };
    let within = lens_with(config).await;
    for path in ["/", "/logs", "/metrics", "/map", "/compare"] {
        let link = "<a href=\"http://127.0.0.1:8110/\" data-key=\"s\">System</a>";
        assert!(page(&within, path).await.contains(link), "{path}");
    }
}
