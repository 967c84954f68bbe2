//! Statements that the program does not describe, of connections of diesel-async to a PostgreSQL.

use std::time::Duration;

use actix_web::dev::Service;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt as _;
use lens::{PointValue, Span, SpanKind, Status, TraceId};
use opentelemetry::trace::FutureExt as _;
use throughline_telemetry::db::{ConnectionTracing, Server, commented, trace_connections, traced_pool};
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::span::carried;
use throughline_telemetry::statement;
use tokio::sync::Mutex;
use tracing::Instrument;

use crate::statements::within_a_trace;
use crate::support::{
    attribute, caller, eventually, is_child, keys, lens, logs, point, span_of, text, trace,
};

diesel::table! { vans (id) { id -> BigInt, driver -> Text, } }

statement! {
    /// The vans, as the program describes them.
    Vans: "SELECT" "vans", action "list_vans", framework "actix-web";
}

const SLOW: Duration = Duration::from_secs(60);

/// A connection to a new database with the table `vans`, and the database. No span of it is in a trace.
async fn connect() -> (testkit::Database, AsyncPgConnection) {
    lens();
    trace_connections(SLOW).unwrap();
    let database = testkit::database().await.unwrap();
    let mut connection = AsyncPgConnection::establish(database.url()).await.unwrap();
    connection
        .batch_execute("CREATE TABLE vans (id bigint PRIMARY KEY, driver text NOT NULL)")
        .await
        .unwrap();
    (database, connection)
}

/// The CLIENT spans of the trace in the order of their starts, once it has `count` of them.
async fn statements(id: TraceId, count: usize) -> Vec<Span> {
    let trace = trace(id, count + 1).await;
    let clients = trace
        .spans
        .into_iter()
        .filter(|span| span.kind == SpanKind::Client);
    let mut spans: Vec<_> = clients.collect();
    spans.sort_by_key(|span| span.start_unix_nano);
    spans
}

/// Waits until that many statements are measured in one series.
async fn measured(attributes: &[(&str, &str)], statements: u64) {
    eventually("the durations", || {
        let metrics = lens().store().metrics();
        let metric = metrics
            .into_iter()
            .find(|it| it.name == "db.client.operation.duration")?;
        let is_it = |point: &lens::Point| {
            let mut attributes = attributes.iter();
            attributes.all(|(key, value)| text(&point.attributes, key).as_deref() == Some(*value))
                && matches!(point.value, PointValue::Distribution { count, .. } if count == statements)
        };
        metric.points.iter().any(is_it).then_some(())
    })
    .await;
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

#[tokio::test]
async fn each_statement_has_a_span_with_its_table_and_never_a_value() {
    let (_database, mut connection) = connect().await;
    let (id, ()) = within_a_trace(async {
        let joe = (vans::id.eq(7), vans::driver.eq("joe"));
        let insert = diesel::insert_into(vans::table).values(joe);
        insert.execute(&mut connection).await.unwrap();
        for _ in 0..2 {
            let drivers = vans::table.filter(vans::driver.eq("joe")).select(vans::id);
            drivers.load::<i64>(&mut connection).await.unwrap();
        }
        let update = "UPDATE public.vans SET driver = 'jim' WHERE driver = 'joe' /* joe */";
        connection.batch_execute(update).await.unwrap();
    })
    .await;
    let spans = statements(id, 4).await;
    let expected = ["INSERT vans", "SELECT vans", "SELECT vans", "UPDATE public.vans"];
    assert_eq!(names(&spans), expected);
    let texts: Vec<_> = spans
        .iter()
        .map(|it| attribute(it, "db.query.text").unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            r#"INSERT INTO "vans" ("id", "driver") VALUES ($1, $2)"#,
            r#"SELECT "vans"."id" FROM "vans" WHERE ("vans"."driver" = $1)"#,
            r#"SELECT "vans"."id" FROM "vans" WHERE ("vans"."driver" = $1)"#,
            "UPDATE public.vans SET driver = ? WHERE driver = ?",
        ]
    );
    let prepared = spans
        .iter()
        .map(|it| attribute(it, "db.query.prepared").is_some());
    assert_eq!(prepared.collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(
        keys(&spans[2].attributes),
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
    let namespace = attribute(&spans[0], "db.namespace").unwrap();
    let series = [
        ("db.namespace", namespace.as_str()),
        ("db.operation.name", "SELECT"),
    ];
    measured(&series, 2).await;
}

#[tokio::test]
async fn a_statement_that_the_program_describes_has_one_span() {
    let (database, mut connection) = connect().await;
    let server = Server::from_url(database.url(), SLOW);
    let (id, ()) = within_a_trace(async {
        let vans = || commented::<Vans, _>(vans::table.select(vans::id));
        // Its future starts when it is made, before the span.
        let made_before = vans().load::<i64>(&mut connection);
        server.run::<Vans, _>(made_before).await.unwrap();
        let made_inside = async { vans().load::<i64>(&mut connection).await };
        server.run::<Vans, _>(made_inside).await.unwrap();
        vans::table
            .count()
            .get_result::<i64>(&mut connection)
            .await
            .unwrap();
    })
    .await;
    let spans = statements(id, 3).await;
    assert_eq!(names(&spans), ["SELECT vans"; 3]);
    let described = |span: &Span| attribute(span, "db.query.prepared").is_none();
    assert_eq!(
        spans.iter().map(described).collect::<Vec<_>>(),
        [true, true, false]
    );
    let namespace = attribute(&spans[0], "db.namespace").unwrap();
    let series = [
        ("db.namespace", namespace.as_str()),
        ("db.operation.name", "SELECT"),
    ];
    // The described ones are measured by a server of their own, with the same attributes.
    measured(&series, 3).await;
}

#[tokio::test]
async fn a_transaction_has_its_statements_and_the_error_of_the_one_that_failed() {
    let (_database, mut connection) = connect().await;
    let (id, ()) = within_a_trace(async {
        for ends_in in ["COMMIT", "ROLLBACK"] {
            let result = connection
                .transaction(async |connection| {
                    diesel::insert_into(vans::table)
                        .values((vans::id.eq(7), vans::driver.eq("joe")))
                        .execute(connection)
                        .await
                })
                .await;
            assert_eq!(result.is_ok(), ends_in == "COMMIT");
        }
    })
    .await;
    let spans = statements(id, 6).await;
    let expected = [
        "BEGIN",
        "INSERT vans",
        "COMMIT",
        "BEGIN",
        "INSERT vans",
        "ROLLBACK",
    ];
    assert_eq!(names(&spans), expected);
    assert_eq!(spans[1].status, Status::Unset);
    assert_eq!(spans[4].status, Status::Error);
    assert_eq!(attribute(&spans[4], "error.type").unwrap(), "unique_violation");
    assert_eq!(attribute(&spans[4], "db.response.status_code").unwrap(), "23505");
}

#[tokio::test]
async fn statements_of_one_connection_at_the_same_time_do_not_mix() {
    let (_database, mut connection) = connect().await;
    let count = vans::table.count();
    // It is prepared, so that it overtakes one that is not.
    count.get_result::<i64>(&mut connection).await.unwrap();
    let (id, ()) = within_a_trace(async {
        let (mut first, mut second) = (&connection, &connection);
        let fails = async {
            let fails = diesel::sql_query("SELECT 1 / 0 FROM vans");
            fails.execute(&mut first).await.unwrap_err();
        };
        let counts = async {
            count.get_result::<i64>(&mut second).await.unwrap();
        };
        tokio::join!(
            fails.instrument(tracing::info_span!("fails")),
            counts.instrument(tracing::info_span!("counts")),
        );
    })
    .await;
    let [fails, counts] = [span_of(id, "fails").await, span_of(id, "counts").await];
    let spans = statements(id, 4).await;
    let failed = spans.iter().find(|span| is_child(span, &fails)).unwrap();
    assert_eq!(
        attribute(failed, "db.query.text").unwrap(),
        "SELECT ? / ? FROM vans"
    );
    assert_eq!(failed.status, Status::Error);
    let counted = spans.iter().find(|span| is_child(span, &counts)).unwrap();
    assert!(attribute(counted, "db.query.text").unwrap().contains("COUNT(*)"));
    assert_eq!(counted.status, Status::Unset);
}

#[tokio::test]
async fn a_statement_whose_future_was_dropped_does_not_take_the_end_of_a_later_one() {
    let (_database, mut connection) = connect().await;
    let count = vans::table.count();
    let (dropped, ()) = within_a_trace(async {
        // Polled once, so that it is sent.
        let _ = count.get_result::<i64>(&mut connection).now_or_never();
    })
    .await;
    let again = async { count.get_result::<i64>(&mut connection).await.unwrap() };
    let (whole, _) = within_a_trace(again).await;
    let spans = statements(whole, 1).await;
    assert_eq!(names(&spans), ["SELECT vans"]);
    assert_eq!(spans[0].status, Status::Unset);
    let spans = statements(dropped, 1).await;
    assert_eq!(names(&spans), ["SELECT vans"]);
    assert_eq!(attribute(&spans[0], "error.type").unwrap(), "cancelled");
    assert_eq!(spans[0].end_unix_nano, spans[0].start_unix_nano);
}

#[actix_web::test]
async fn a_loop_of_existing_statements_in_a_request_is_suspected() {
    let (_database, connection) = connect().await;
    let connection = Data::new(Mutex::new(connection));
    let each = async |connection: Data<Mutex<AsyncPgConnection>>| {
        let mut connection = connection.lock().await;
        for id in 0..10_i64 {
            let van = vans::table.find(id).select(vans::driver);
            let van = van.first::<String>(&mut *connection).await;
            assert!(van.optional().unwrap().is_none());
        }
        HttpResponse::Ok().finish()
    };
    let app = App::new()
        .app_data(connection)
        .route("/vans", web::get().to(each));
    let app = init_service(app.wrap(Tracing::new())).await;
    let caller = caller();
    let request = TestRequest::get().uri("/vans");
    let request = request.insert_header(("traceparent", caller.traceparent.as_str()));
    let response = app.call(request.to_request()).await.unwrap();
    assert!(response.status().is_success());
    drop(response);
    let server = span_of(caller.trace_id, "GET /vans").await;
    assert_eq!(attribute(&server, "db.n_plus_one.suspected").unwrap(), "true");
    let record = logs(caller.trace_id, 1).await.remove(0);
    assert!(record.body.to_string().contains("`SELECT vans` ran 10 times"));
}

#[tokio::test]
async fn a_future_that_was_made_outside_of_a_span_has_the_span_that_it_runs_in() {
    let (_database, mut connection) = connect().await;
    let made_outside = vans::table.count().get_result::<i64>(&mut connection);
    let (id, _) = within_a_trace(made_outside).await;
    assert_eq!(names(&statements(id, 1).await), ["SELECT vans"]);
}

#[tokio::test]
async fn a_new_connection_has_a_span_and_a_duration_whether_it_succeeds_or_not() {
    let (database, _connection) = connect().await;
    let (id, connected) = within_a_trace(AsyncPgConnection::establish(database.url())).await;
    connected.unwrap();
    let spans = statements(id, 1).await;
    let namespace = attribute(&spans[0], "db.namespace").unwrap();
    assert_eq!(names(&spans), [format!("CONNECT {namespace}").as_str()]);
    assert_eq!(spans[0].status, Status::Unset);

    let missing = format!("{}_missing", database.url());
    let (id, refused) = within_a_trace(AsyncPgConnection::establish(&missing)).await;
    assert!(refused.is_err());
    let span = statements(id, 1).await.remove(0);
    assert_eq!(attribute(&span, "error.type").unwrap(), "connection_failed");
    let address = attribute(&span, "server.address").unwrap();
    let port = attribute(&span, "server.port").unwrap();
    let pool = format!("{address}:{port}/{namespace}");
    let series = [("db.client.connection.pool.name", pool.as_str())];
    point("db.client.connection.create_time", &series).await;
}

#[tokio::test]
async fn a_connection_can_be_traced_alone_and_its_work_be_carried_to_another_thread() {
    let (_database, mut connection) = connect().await;
    let server = Server::new("named.example.com", 5432, "shop", Duration::ZERO);
    connection.set_instrumentation(ConnectionTracing::new(server));
    let (id, ()) = within_a_trace(async {
        let work = carried(move || {
            let runtime = tokio::runtime::Handle::current();
            let context = opentelemetry::Context::current();
            let count = vans::table.count();
            let count = count.get_result::<i64>(&mut connection).with_context(context);
            runtime.block_on(count).unwrap();
        });
        tokio::task::spawn_blocking(work).await.unwrap();
    })
    .await;
    let span = statements(id, 1).await.remove(0);
    assert_eq!(attribute(&span, "server.address").unwrap(), "named.example.com");
    assert_eq!(attribute(&span, "db.query.slow").unwrap(), "true");
}

#[tokio::test]
async fn a_traced_pool_has_spans_of_its_statements_and_is_measured() {
    let (database, _) = connect().await;
    let pool = traced_pool(database.url(), SLOW).unwrap();
    let read = async {
        let mut connection = pool.get().await.unwrap();
        vans::table.count().get_result::<i64>(&mut connection).await
    };
    let (id, read) = within_a_trace(read).await;
    assert_eq!(read.unwrap(), 0);
    let names: Vec<_> = statements(id, 2).await.into_iter().map(|it| it.name).collect();
    assert!(
        names[0].starts_with("CONNECT ") && names[1] == "SELECT vans",
        "{names:?}"
    );
    let url = url::Url::parse(database.url()).unwrap();
    let port = url.port().unwrap();
    let pool = format!("{}:{port}{}", url.host_str().unwrap(), url.path());
    let idle = [
        ("db.client.connection.pool.name", pool.as_str()),
        ("db.client.connection.state", "idle"),
    ];
    point("db.client.connection.count", &idle).await;
}
