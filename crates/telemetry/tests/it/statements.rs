//! Statements of diesel, without a database: the tests supply their results.

use std::time::Duration;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use lens::{SpanKind, Status};
use throughline_telemetry::db::{Outcome, PoolState, Server, commented, no_response, observe_pool};
use throughline_telemetry::span::untraced;
use throughline_telemetry::statement;
use tracing::Instrument;

use crate::support::{attribute, eventually, keys, lens, only_span, point, text, trace};

diesel::table! { parcels (id) { id -> BigInt, weight -> BigInt, } }

statement! {
    /// The parcels that still fit into a van.
    LightParcels: "SELECT" "parcels", action "load_van", framework "actix-web";
    AddParcels: "INSERT" "parcels", action "add_parcels", framework "apalis";
}

fn server() -> Server {
    Server::new("db.example.com", 5432, "shop", Duration::from_secs(60))
}

/// Runs `SELECT parcels` as `work`.
pub(crate) async fn select<T>(work: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    let query = parcels::table.filter(parcels::weight.lt(10)).select(parcels::id);
    let _ = commented::<LightParcels, _>(query);
    server().run::<LightParcels, T>(work).await
}

/// Does the work within a new trace. Returns the trace's id and the result.
pub(crate) async fn within_a_trace<T>(work: impl Future<Output = T>) -> (lens::TraceId, T) {
    lens();
    let span = tracing::info_span!("test");
    let id = span.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    (id.parse().unwrap(), work.instrument(span).await)
}

async fn statement_span(id: lens::TraceId) -> lens::Span {
    let trace = trace(id, 2).await;
    let span = trace.spans.into_iter().find(|span| span.name != "test");
    span.unwrap()
}

#[tokio::test]
async fn a_statement_has_its_attributes_and_never_a_value() {
    select(async { Ok(7) }).await.unwrap();
    let server = Server::new("described.example.com", 5432, "shop", Duration::from_secs(60));
    let (id, _) = within_a_trace(server.run::<LightParcels, _>(async { Ok(7) })).await;
    let span = statement_span(id).await;
    assert_eq!(span.name, "SELECT parcels");
    assert_eq!(span.kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    assert_eq!(
        keys(&span.attributes),
        [
            "db.collection.name",
            "db.namespace",
            "db.operation.name",
            "db.query.summary",
            "db.query.text",
            "db.system.name",
            "server.address",
            "server.port",
        ]
    );
    assert_eq!(
        attribute(&span, "db.query.text").unwrap(),
        r#"SELECT "parcels"."id" FROM "parcels" WHERE ("parcels"."weight" < $1)"#
    );
    let attributes = [("server.address", "described.example.com")];
    let (metric, point) = point("db.client.operation.duration", &attributes).await;
    assert_eq!(metric.unit, "s");
    assert_eq!(
        keys(&point.attributes),
        [
            "db.collection.name",
            "db.namespace",
            "db.operation.name",
            "db.system.name",
            "server.address",
            "server.port",
        ]
    );
}

#[tokio::test]
async fn a_failed_statement_has_its_error_type_and_sqlstate_on_span_and_metric() {
    let unique = Error::DatabaseError(DatabaseErrorKind::UniqueViolation, Box::new(String::new()));
    let (id, result) = within_a_trace(select::<()>(async { Err(unique) })).await;
    assert!(result.is_err());
    let span = statement_span(id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(span.status_message, "");
    assert_eq!(attribute(&span, "error.type").unwrap(), "unique_violation");
    assert_eq!(attribute(&span, "db.response.status_code").unwrap(), "23505");
    point(
        "db.client.operation.duration",
        &[
            ("error.type", "unique_violation"),
            ("db.response.status_code", "23505"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_timeout_is_one_on_either_side() {
    let by_server =
        |message: &str| Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
    for (error, state) in [
        (no_response(Duration::from_secs(6)), None),
        (
            by_server("57014: canceling statement due to statement timeout"),
            Some("57014"),
        ),
        (
            by_server("55P03: canceling statement due to lock timeout"),
            Some("55P03"),
        ),
    ] {
        let (id, _) = within_a_trace(select::<()>(async { Err(error) })).await;
        let span = statement_span(id).await;
        assert_eq!(attribute(&span, "error.type").unwrap(), "timeout");
        assert_eq!(attribute(&span, "db.response.status_code").as_deref(), state);
        let mut attributes = vec![("error.type", "timeout")];
        attributes.extend(state.map(|state| ("db.response.status_code", state)));
        point("db.client.operation.duration", &attributes).await;
    }
}

#[tokio::test]
async fn a_missing_row_is_no_error() {
    let (id, _) = within_a_trace(select::<()>(async { Err(Error::NotFound) })).await;
    let span = statement_span(id).await;
    assert_eq!(span.status, Status::Unset);
    assert_eq!(attribute(&span, "error.type"), None);
}

#[tokio::test]
async fn a_statement_whose_future_is_dropped_ends_as_cancelled() {
    let query = select::<()>(std::future::pending());
    let (id, _) = within_a_trace(tokio::time::timeout(Duration::from_millis(1), query)).await;
    let span = statement_span(id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");
    point("db.client.operation.duration", &[("error.type", "cancelled")]).await;
}

#[tokio::test]
async fn a_batch_has_its_size_from_two_on() {
    let _ = commented::<AddParcels, _>(diesel::insert_into(parcels::table).default_values());
    for (size, shown) in [(1, None), (2, Some("2".to_owned()))] {
        let server = server();
        let insert = server.run_batch::<AddParcels, _>(size, async { Ok(()) });
        let (id, _) = within_a_trace(insert).await;
        let span = statement_span(id).await;
        assert_eq!(attribute(&span, "db.operation.batch.size"), shown);
    }
}

statement! {
    /// Run by one test alone.
    AddShared: "INSERT" "parcels", action "add_shared", framework "actix-web";
}

#[tokio::test]
async fn callers_of_a_shared_statement_have_a_span_each_and_the_metric_one_statement() {
    let server = Server::new("shared.example.com", 5432, "shop", Duration::from_secs(60));
    let (first, waiting) = within_a_trace(async { server.shared_span::<AddShared>() }).await;
    let (second, too) = within_a_trace(async { server.shared_span::<AddShared>() }).await;
    let unique = Error::DatabaseError(DatabaseErrorKind::UniqueViolation, Box::new(String::new()));
    // As in a service, the statement's text is known only after the first callers began to wait.
    let _ = commented::<AddShared, _>(diesel::insert_into(parcels::table).default_values());
    let result = server
        .run_shared::<AddShared, _>(async { Ok(opentelemetry::Context::current()) })
        .await;
    let context = result.unwrap();
    assert!(!opentelemetry::trace::TraceContextExt::has_active_span(&context));
    waiting.end(Outcome::new(2, None));
    too.end(Outcome::new(2, Some(&unique)));

    let [first, second] = [statement_span(first).await, statement_span(second).await];
    for span in [&first, &second] {
        assert_eq!(span.name, "INSERT parcels");
        assert_eq!(attribute(span, "db.query.summary").unwrap(), "INSERT parcels");
        assert_eq!(attribute(span, "db.operation.batch.size").unwrap(), "2");
        assert!(
            attribute(span, "db.query.text")
                .unwrap()
                .starts_with("INSERT INTO")
        );
    }
    assert_eq!(first.status, Status::Unset);
    assert_eq!(attribute(&second, "error.type").unwrap(), "unique_violation");
    assert_eq!(attribute(&second, "db.response.status_code").unwrap(), "23505");

    let attributes = [("server.address", "shared.example.com")];
    let (metric, point) = point("db.client.operation.duration", &attributes).await;
    assert_eq!(count(&point), 1);
    let of_server = |point: &&lens::Point| {
        text(&point.attributes, "server.address").as_deref() == Some("shared.example.com")
    };
    assert_eq!(metric.points.iter().filter(of_server).count(), 1);
}

/// The number of a histogram's values.
fn count(point: &lens::Point) -> u64 {
    match &point.value {
        lens::PointValue::Distribution { count, .. } => *count,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_caller_that_stops_waiting_for_a_shared_statement_ends_its_span_as_cancelled() {
    let server = Server::new("left.example.com", 5432, "shop", Duration::from_secs(60));
    let (id, waiting) = within_a_trace(async { server.shared_span::<LightParcels>() }).await;
    drop(waiting);
    let span = statement_span(id).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");
    let other = server.run_shared::<LightParcels, _>(async { Err::<(), _>(no_response(Duration::ZERO)) });
    other.await.unwrap_err();
    let attributes = [("server.address", "left.example.com")];
    let (_, point) = point("db.client.operation.duration", &attributes).await;
    assert_eq!(text(&point.attributes, "error.type").unwrap(), "timeout");
    assert_eq!(count(&point), 1);
}

#[tokio::test]
async fn a_statement_over_the_threshold_is_marked_slow() {
    let server = Server::new("db", 1, "shop", Duration::ZERO);
    let (id, _) = within_a_trace(server.run::<LightParcels, _>(async { Ok(()) })).await;
    let span = statement_span(id).await;
    assert_eq!(attribute(&span, "db.query.slow").unwrap(), "true");

    let (id, waiting) = within_a_trace(async { server.shared_span::<LightParcels>() }).await;
    waiting.end(Outcome::new(1, None));
    let span = statement_span(id).await;
    assert_eq!(attribute(&span, "db.query.slow").unwrap(), "true");
    assert_eq!(attribute(&span, "db.operation.batch.size"), None);
}

#[tokio::test]
async fn without_a_trace_a_statement_is_measured_and_makes_no_span() {
    lens();
    let server = Server::new("rootless.example.com", 1, "shop", Duration::from_secs(60));
    server.run::<LightParcels, _>(async { Ok(()) }).await.unwrap();
    point(
        "db.client.operation.duration",
        &[("server.address", "rootless.example.com")],
    )
    .await;
    let traces = lens().store().traces();
    let mut spans = traces.iter().flat_map(|trace| &trace.spans);
    assert!(
        !spans
            .any(|span| text(&span.attributes, "server.address").as_deref() == Some("rootless.example.com"))
    );
}

#[tokio::test]
async fn an_untraced_future_makes_no_spans_but_log_records() {
    let marker = uuid::Uuid::new_v4().to_string();
    let work = async {
        untraced(async {
            select(async { Ok(()) }).await.unwrap();
            tracing::info_span!("idle").in_scope(|| tracing::warn!("looked, {marker}"));
        })
        .await;
    };
    let (id, ()) = within_a_trace(work).await;
    let record = eventually("the record", || {
        let logs = lens().store().logs();
        logs.into_iter()
            .find(|log| log.body.to_string().contains(&marker))
    })
    .await;
    assert_eq!(record.trace_id, None);
    assert_eq!(only_span(id).await.name, "test");
}

#[tokio::test]
async fn a_pool_is_measured() {
    lens();
    let pool = observe_pool("shop", || PoolState {
        idle: 3,
        used: 2,
        max: 16,
        pending: 1,
    });
    pool.wait(async { Ok::<_, ()>(()) }, |()| true).await.unwrap();
    let _ = pool.wait(async { Err::<(), _>("late") }, |_| true).await;
    let name = ("db.client.connection.pool.name", "shop");
    for (metric, state, unit, value) in [
        ("count", Some("idle"), "{connection}", 3),
        ("count", Some("used"), "{connection}", 2),
        ("max", None, "{connection}", 16),
        ("pending_requests", None, "{request}", 1),
        ("timeouts", None, "{timeout}", 1),
    ] {
        let mut attributes = vec![name];
        attributes.extend(state.map(|state| ("db.client.connection.state", state)));
        let metric = format!("db.client.connection.{metric}");
        let (metric, point) = point(&metric, &attributes).await;
        assert_eq!(metric.unit, unit);
        assert_eq!(point.value, lens::PointValue::Int { value }, "{}", metric.name);
    }
    let (metric, _) = point("db.client.connection.wait_time", &[name]).await;
    assert_eq!(metric.unit, "s");
}
