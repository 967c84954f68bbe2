//! A small service on the same library that exports what the product never does: a batch, and the same
//! statement many times in one request. It is actix-web and a real PostgreSQL, in a separate process: this
//! test binary, run again.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use telemetry::db::{Server, commented};
use telemetry::http::server::Tracing;
use throughline_e2e::contract::Capture;
use tokio::process::Command;
use tokio::sync::Mutex;

diesel::table! { parcels (id) { id -> BigInt, weight -> BigInt, } }

telemetry::statement! {
    AddParcels: "INSERT" "parcels", action "add_parcels", framework "actix-web";
    OneParcel: "SELECT" "parcels", action "one_parcel", framework "actix-web";
}

/// The number of equal statements from which a loop is reported.
const PARCELS: i64 = 10;
const DATABASE: &str = "PARCELS_DATABASE_URL";

/// The telemetry of one request to the service.
pub(super) async fn capture() -> Capture {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = testkit::database().await.unwrap();
    let lens = testkit::lens().await.unwrap();
    let sql = database.connect().await.unwrap();
    let create = "CREATE TABLE parcels (id bigint PRIMARY KEY, weight bigint NOT NULL)";
    sql.batch_execute(create).await.unwrap();
    let mut service = Command::new(std::env::current_exe().unwrap());
    service
        .args(["--exact", "telemetry::kit::the_service", "--ignored"])
        .env(DATABASE, database.url())
        .env("ENVIRONMENT", "test")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", lens.otlp_http_url())
        .kill_on_drop(true);
    let ended = service.stdin(Stdio::null()).output().await.unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{output}");
    Capture::of(lens.store())
}

#[test]
#[ignore = "the run starts it, in a separate process"]
fn the_service() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let telemetry = telemetry::builder("parcels", "1.0.0").namespace("kit").init();
        let telemetry = telemetry.unwrap();
        one_request().await;
        telemetry.shutdown(Duration::from_secs(60)).await;
    });
}

async fn one_request() {
    let database = std::env::var(DATABASE).unwrap();
    let connection = AsyncPgConnection::establish(&database).await.unwrap();
    let connection = Data::new(Mutex::new(connection));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/parcels", listener.local_addr().unwrap());
    let app = move || {
        App::new()
            .app_data(Data::clone(&connection))
            .route("/parcels", web::post().to(add_and_read_each))
            .wrap(Tracing::new())
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.listen(listener).unwrap().run();
    let (handle, running) = (server.handle(), tokio::spawn(server));
    let response = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(response.status(), 201);
    handle.stop(true).await;
    running.await.unwrap().unwrap();
}

async fn add_and_read_each(connection: Data<Mutex<AsyncPgConnection>>) -> HttpResponse {
    let server = Server::new("127.0.0.1", 5432, "parcels", Duration::from_secs(60));
    let mut connection = connection.lock().await;
    let new: Vec<_> = (0..PARCELS)
        .map(|id| (parcels::id.eq(id), parcels::weight.eq(5)))
        .collect();
    let add = commented::<AddParcels, _>(diesel::insert_into(parcels::table).values(new));
    let added = server.run_batch::<AddParcels, _>(10, add.execute(&mut connection));
    assert_eq!(added.await.unwrap(), 10);
    for id in 0..PARCELS {
        let one = commented::<OneParcel, _>(parcels::table.find(id).select(parcels::weight));
        let read = server.run::<OneParcel, _>(one.get_result::<i64>(&mut connection));
        assert_eq!(read.await.unwrap(), 5);
    }
    HttpResponse::Created().finish()
}
