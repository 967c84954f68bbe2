//! docs/guide.md: its service runs in a process of its own, and exports what the guide shows.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use lens::{Span, Trace};
use throughline_telemetry::http::server::Tracing;
use tokio::process::Command;

use crate::support::{attribute, caller, eventually, is_child, is_child_of_caller, lens, point};

mod service {
    include!("../../examples/guide.rs");

    #[test]
    #[ignore = "the program that the test below starts"]
    fn the_program() {
        main().unwrap();
    }
}

const TABLE: &str = "CREATE TABLE parcels (id bigserial PRIMARY KEY, recipient text NOT NULL, \
                     state text NOT NULL DEFAULT 'packed')";
const TIMEOUT: Duration = Duration::from_secs(60);

/// The spans of a parcel that is stored and delivered, and the parent of each. The last is the carrier's.
const STORED: [(&str, &str); 7] = [
    ("INSERT parcels", "POST /parcels"),
    ("send deliveries", "POST /parcels"),
    ("process deliveries", "send deliveries"),
    ("hand_over", "process deliveries"),
    ("POST /deliveries", "hand_over"),
    ("UPDATE parcels", "hand_over"),
    ("POST /carrier/deliveries", "POST /deliveries"),
];

/// Starts the carrier for the rest of the process, which is traced too. Returns its URL.
fn carrier() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/carrier", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let app = || {
            let deliveries = web::post().to(HttpResponse::Ok);
            App::new()
                .route("/carrier/deliveries", deliveries)
                .wrap(Tracing::new())
        };
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.listen(listener).unwrap().run();
        actix_web::rt::System::new().block_on(server).unwrap();
    });
    url
}

fn find<'a>(trace: &'a Trace, name: &str) -> Option<&'a Span> {
    trace.spans.iter().find(|span| span.name == name)
}

#[tokio::test]
async fn the_service_of_the_guide_has_one_trace_from_the_request_to_the_call_of_its_job() {
    let store = lens().store();
    let database = testkit::database().await.unwrap();
    let connection = database.connect().await.unwrap();
    connection.batch_execute(TABLE).await.unwrap();
    let redis = testkit::redis().await.unwrap();
    let port = testkit::free_port().unwrap().to_string();
    let mut service = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "guide::service::the_program", "--ignored"])
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("CARRIER_URL", carrier())
        .env("PORT", &port)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", lens().otlp_http_url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (client, url) = (reqwest::Client::new(), format!("http://127.0.0.1:{port}"));
    testkit::eventually("the service", TIMEOUT, async || {
        client.get(format!("{url}/health")).send().await.ok()
    })
    .await;

    let caller = caller();
    let parcel = client.post(format!("{url}/parcels"));
    let parcel = parcel.header("traceparent", &caller.traceparent);
    let parcel = parcel.json(&serde_json::json!({ "recipient": "joe@example.com" }));
    let response = parcel.send().await.unwrap().error_for_status().unwrap();
    assert_eq!(response.text().await.unwrap(), "1");
    let trace = eventually("the trace of the parcel", || {
        let trace = store.trace(&caller.trace_id)?;
        let is_whole = STORED.iter().all(|(name, _)| find(&trace, name).is_some());
        (is_whole && find(&trace, "POST /parcels").is_some()).then_some(trace)
    })
    .await;
    let request = find(&trace, "POST /parcels").unwrap();
    assert!(is_child_of_caller(request));
    for (name, parent) in STORED {
        let (child, parent) = (find(&trace, name).unwrap(), find(&trace, parent).unwrap());
        assert!(is_child(child, parent), "{name}: {:#?}", trace.spans);
    }
    let process = find(&trace, "process deliveries").unwrap();
    assert_eq!(attribute(process, "parcel.id").unwrap(), "1");
    eventually("the log record", || {
        let records = store.logs_of(&caller.trace_id);
        let mut bodies = records.iter().map(|record| record.body.to_string());
        bodies.find(|body| body == "a parcel was stored for [email]")
    })
    .await;
    point("parcels.delivered", &[("parcel.carrier", "snail")]).await;

    // The first request reads the state from PostgreSQL, where the pool verifies its connection by a
    // statement without a table. The second reads it from Redis.
    for spans in [&["GET", "SELECT", "SELECT parcels", "SETEX"][..], &["GET"]] {
        let caller = crate::support::caller();
        let parcel = client.get(format!("{url}/parcels/1"));
        let parcel = parcel.header("traceparent", &caller.traceparent);
        let response = parcel.send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "delivered");
        let trace = eventually("the trace of the state", || {
            let trace = store.trace(&caller.trace_id)?;
            find(&trace, "GET /parcels/{id}").is_some().then_some(trace)
        })
        .await;
        let request = find(&trace, "GET /parcels/{id}").unwrap();
        let mut children: Vec<_> = trace.spans.iter().filter(|it| is_child(it, request)).collect();
        children.sort_by_key(|span| span.start_unix_nano);
        let names = children.iter().map(|span| span.name.as_str());
        let names: Vec<_> = names.filter(|name| !name.starts_with("CONNECT")).collect();
        assert_eq!(names, spans);
    }

    // SIGTERM ends the service in order, once its connections are closed.
    drop(client);
    let pid = service.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(sent.unwrap().success());
    assert!(service.wait().await.unwrap().success());
}
