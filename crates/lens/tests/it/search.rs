//! The search language, against received traces and log records.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use reqwest::StatusCode as HttpStatus;
use throughline_lens::{Lens, LensConfig, LogSearch, Query, TraceSearch};

use crate::otlp::{self, NOON};
use crate::support::{get_json, lens};

/// Three traces: an order that failed in the worker (1), one that succeeded (2), and a health check (3).
async fn three_traces() -> Lens {
    let lens = lens().await;
    let of = |trace: u128, span: Span| Span {
        trace_id: otlp::trace_id(trace),
        ..span
    };
    let order = |trace: u128| {
        let mut span = otlp::span(1, 0, "POST /api/orders", SpanKind::Server, 0..5_000);
        span.attributes = vec![
            otlp::text("http.route", "/api/orders"),
            otlp::text("order.id", &format!("o-{trace}")),
            otlp::attribute("http.response.status_code", Value::IntValue(202)),
        ];
        of(trace, span)
    };
    let failed = Span {
        status: Some(Status {
            message: "the card was Declined".to_owned(),
            code: StatusCode::Error.into(),
        }),
        events: vec![Event {
            name: "exception".to_owned(),
            attributes: vec![otlp::text("exception.type", "CardError")],
            ..Event::default()
        }],
        ..otlp::span(2, 1, "process", SpanKind::Consumer, 5_000..45_000)
    };
    let health = Span {
        start_time_unix_nano: NOON + 9_000_000_000,
        end_time_unix_nano: NOON + 9_000_100_000,
        attributes: vec![otlp::text("http.route", "/health")],
        ..otlp::span(1, 0, "GET /health", SpanKind::Server, 0..1)
    };
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    for (service, spans) in [
        ("api", vec![order(1), order(2), of(3, health)]),
        (
            "worker",
            vec![
                of(1, failed),
                of(2, otlp::span(2, 1, "process", SpanKind::Consumer, 5_000..7_000)),
            ],
        ),
    ] {
        client.export(otlp::spans(service, spans)).await.unwrap();
    }
    let records = vec![
        otlp::log(1, 17, "charge failed: card_declined"),
        LogRecord {
            attributes: vec![otlp::text("payment.id", "p-2")],
            ..otlp::log(2, 9, "order \"completed\"")
        },
    ];
    let mut client = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    client.export(otlp::logs("worker", records)).await.unwrap();
    lens
}

/// The last digits of the traces' ids, sorted.
fn traces(lens: &Lens, query: &str) -> String {
    let search = TraceSearch {
        query: query.parse().unwrap(),
        ..TraceSearch::default()
    };
    let page = lens.store().search_traces(&search);
    assert!(!page.partial);
    let mut ids: Vec<char> = page
        .items
        .iter()
        .map(|trace| trace.trace_id.to_string().pop().unwrap())
        .collect();
    ids.sort_unstable();
    ids.into_iter().collect()
}

#[tokio::test]
async fn every_word_of_a_search_of_traces_selects_what_it_says() {
    let lens = three_traces().await;
    for (query, expected) in [
        ("", "123"),
        ("service=worker", "12"),
        ("service!=worker", "3"),
        ("root=\"GET /health\"", "3"),
        ("root=process", ""),
        ("name=process", "12"),
        ("kind=consumer", "12"),
        ("kind=client", ""),
        ("status=error", "1"),
        ("error", "1"),
        ("error=false", "23"),
        ("error!=true", "23"),
        ("duration>10ms", "1"),
        ("duration<=7ms", "23"),
        ("duration=7ms", "2"),
        ("level>=error", "1"),
        ("level=info", "2"),
        ("level<error level>debug", "2"),
        ("trace=00000000000000000000000000000002", "2"),
        ("order.id=o-1", "1"),
        ("order.id!=o-1", "23"),
        ("order.id=o-9", ""),
        ("payment.id=p-2", "2"),
        ("service.name=worker", "12"),
        ("exception.type=CardError", "1"),
        ("http.route!=/health", "12"),
        ("http.response.status_code=202", "12"),
        ("http.response.status_code>=500", ""),
        ("http.response.status_code>201.5", "12"),
        ("http.route=/api/orders error", "1"),
        ("http.route=/api/orders service=worker error=false", "2"),
        ("declined", "1"),
        ("\"card was declined\"", "1"),
        ("\"was card\"", ""),
        ("carderror", "1"),
        ("completed", "2"),
        ("\"order \\\"completed\"", "2"),
        ("\"error\"", "1"),
        ("202", "12"),
        ("{ http.route=/api/orders duration>4ms }", "12"),
        ("{ http.route=/api/orders duration>10ms }", ""),
        ("{ service=worker duration>10ms } order.id=o-1", "1"),
        ("{ kind=consumer error=false }", "2"),
    ] {
        assert_eq!(traces(&lens, query), expected, "{query}");
    }
}

#[tokio::test]
async fn every_word_of_a_search_of_log_records_selects_what_it_says() {
    let lens = three_traces().await;
    for (query, expected) in [
        ("", 2),
        ("level>=warn", 1),
        ("level<warn", 1),
        ("level!=error", 1),
        ("error", 1),
        ("declined", 1),
        ("ORDER completed", 1),
        ("service=worker", 2),
        ("service=api", 0),
        ("payment.id=p-2", 1),
        ("payment.id!=p-2", 1),
        ("trace=00000000000000000000000000000001", 1),
        ("level>=warn charge", 1),
        ("level>=warn order", 0),
    ] {
        let search = LogSearch {
            query: Query::of_logs(query).unwrap(),
            ..LogSearch::default()
        };
        assert_eq!(lens.store().search_logs(&search).items.len(), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_of_traces_and_logs_follow_each_other_without_gap_or_repetition() {
    let lens = lens().await;
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    // Several start at the same time.
    let started = |trace: u64| Span {
        start_time_unix_nano: NOON + trace / 3,
        ..otlp::order_span(trace.into(), "o-1")
    };
    let spans = (1..=10).map(started).collect();
    client.export(otlp::spans("api", spans)).await.unwrap();
    let mut client = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let records = (1..=10).map(|number| otlp::log(number, 9, "text")).collect();
    client.export(otlp::logs("api", records)).await.unwrap();

    for list in ["traces", "logs"] {
        for query in ["", "&q=order.id%3Do-1"] {
            if list == "logs" && !query.is_empty() {
                continue;
            }
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let url = format!("{}/api/{list}?limit=3{query}{after}", lens.page_url());
                let page = get_json(url, HttpStatus::OK).await;
                assert_eq!(page["partial"], false);
                let items = page["data"].as_array().unwrap();
                seen.extend(
                    items
                        .iter()
                        .map(|item| item["trace_id"].as_str().unwrap().to_owned()),
                );
                let Some(next) = page["next"].as_str() else { break };
                assert_eq!(items.len(), 3);
                after = format!("&after={next}");
            }
            let expected: Vec<String> = (1..=10).rev().map(|id| format!("{id:032x}")).collect();
            assert_eq!(seen, expected, "{list}{query}");
        }
    }
}

#[tokio::test]
async fn a_search_is_limited_to_times() {
    let lens = three_traces().await;
    let listed = async |query: &str| {
        let list = get_json(format!("{}/api/traces?{query}", lens.page_url()), HttpStatus::OK).await;
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(listed("from=2024-05-01T12:00:01Z").await, 1);
    assert_eq!(listed("until=2024-05-01T12:00:09Z").await, 2);
    assert_eq!(
        listed("from=2024-05-01T12:00:00Z&until=2024-05-01T12:00:00.000000001Z").await,
        2
    );
    assert_eq!(listed("last=5m").await, 0);
    for query in ["from=noon", "until=1", "last=5", "after=1", "q=a%3D"] {
        let name = query.split('=').next().unwrap();
        let problem = get_json(
            format!("{}/api/traces?{query}", lens.page_url()),
            HttpStatus::BAD_REQUEST,
        )
        .await;
        assert!(problem["detail"].as_str().unwrap().starts_with(name), "{problem}");
    }
}

#[tokio::test]
async fn other_key_attributes_can_be_set() {
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        key_attributes: vec!["user.id".to_owned(), "job".to_owned()],
        ..LensConfig::default()
    };
    let lens = Lens::start(config).await.unwrap();
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let span = Span {
        attributes: vec![
            otlp::attribute("job", Value::IntValue(42)),
            otlp::text("user.id", "u-1"),
            otlp::text("user.id", "u-2"),
        ],
        ..otlp::order_span(1, "o-1")
    };
    client.export(otlp::spans("api", vec![span])).await.unwrap();
    for query in ["user.id=u-1", "user.id=u-2", "job=42"] {
        assert_eq!(traces(&lens, query), "1", "{query}");
    }
    let listed = lens
        .store()
        .search_traces(&TraceSearch::default())
        .items
        .remove(0);
    let keys: Vec<(&str, &str)> = listed
        .keys
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(keys, [("job", "42"), ("user.id", "u-1")]);
}

#[tokio::test]
async fn a_search_that_examines_too_much_is_partial_and_can_be_continued() {
    let lens = lens().await;
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    // Each place of the text begins like the search, so that each is compared with all of it.
    let text = format!("{}b", "a".repeat(1_900));
    let hostile = Span {
        start_time_unix_nano: NOON + 1,
        attributes: vec![otlp::text("text", &"a".repeat(500_000))],
        ..otlp::order_span(1, "o-1")
    };
    let sought = Span {
        attributes: vec![otlp::text("text", &text)],
        ..otlp::order_span(2, "o-2")
    };
    client
        .export(otlp::spans("api", vec![hostile, sought]))
        .await
        .unwrap();
    let mut search = TraceSearch {
        query: text.parse().unwrap(),
        ..TraceSearch::default()
    };
    let first = lens.store().search_traces(&search);
    assert!(
        first.partial && first.items.is_empty() && first.next.is_some(),
        "{first:?}"
    );
    search.after = first.next;
    let second = lens.store().search_traces(&search);
    assert!(!second.partial && second.items.len() == 1, "{second:?}");
}

#[tokio::test]
async fn traces_are_charted_by_root_name_and_mapped_by_service() {
    let lens = three_traces().await;
    let url = |path: &str| format!("{}/api/{path}", lens.page_url());
    let rates = get_json(url("rates?q=service%3Dworker&steps=1"), HttpStatus::OK).await;
    let total = &rates["roots"][0]["total"];
    assert_eq!(
        (
            &rates["roots"][0]["root_name"],
            &total["count"],
            &total["errors"],
            &total["p99_ms"]
        ),
        (&"POST /api/orders".into(), &2.into(), &1.into(), &45.0.into())
    );
    assert_eq!(&rates["roots"][0]["steps"][0], total);
    let map = get_json(url("map"), HttpStatus::OK).await;
    let names: Vec<&str> = map["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["api", "worker"]);
    assert_eq!(map["edges"][0]["calls"]["count"], 2);
    let path = get_json(
        url("traces/00000000000000000000000000000001/critical-path"),
        HttpStatus::OK,
    )
    .await;
    assert!(path["summary"].as_str().unwrap().contains(" % of 45"), "{path}");
    assert_eq!(path["duration_ms"], 45.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_reports_changes() {
    let lens = lens().await;
    let mut changes = lens.store().changes();
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    client
        .export(otlp::spans("api", vec![otlp::order_span(1, "o-1")]))
        .await
        .unwrap();
    changes.changed().await.unwrap();
    assert_eq!(*changes.borrow_and_update(), 1);
}
