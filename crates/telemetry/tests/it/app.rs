//! A small actix-web service with every kind of response.

use std::convert::Infallible;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::{BodyStream, SizedStream};
use actix_web::error::{ErrorBadRequest, ErrorInternalServerError};
use actix_web::middleware::NormalizePath;
use actix_web::web::{self, Bytes, Path};
use actix_web::{App, HttpResponse, HttpServer, Responder};
use futures_util::{StreamExt, stream};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use throughline_telemetry::http::server::{Inbound, ServerSpan, Tracing};
use throughline_telemetry::span;
use tracing::Instrument;

use crate::statements;
use crate::support::lens;

/// Starts the service for the rest of the process. Returns its URL.
pub(crate) fn start(inbound: Inbound) -> String {
    serve(Tracing::new().inbound(inbound))
}

/// Starts the service with this middleware for the rest of the process. Returns its URL.
pub(crate) fn serve(tracing: Tracing) -> String {
    lens();
    let tracing = tracing.exclude("/health").exclude("/favicon.ico");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let server = HttpServer::new(move || {
            let app = App::new().configure(routes);
            app.wrap(NormalizePath::trim()).wrap(tracing.clone())
        });
        let server = server
            .workers(1)
            .disable_signals()
            .h1_allow_half_closed(false)
            .listen(listener)
            .unwrap();
        actix_web::rt::System::new().block_on(server.run()).unwrap();
    });
    url
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/items/{id}", web::get().to(item))
        .route("/items/{id}", web::head().to(item))
        .route("/empty", web::get().to(HttpResponse::Ok))
        .route("/not-modified", web::get().to(HttpResponse::NotModified))
        .route("/stream", web::get().to(streamed))
        .route("/endless", web::get().to(endless))
        .route("/broken-body", web::get().to(broken_body))
        .route("/short-body", web::get().to(short_body))
        .route(
            "/bad",
            web::get().to(|| async { respond(Err(ErrorBadRequest("no"))) }),
        )
        .route(
            "/broken",
            web::get().to(|| async { respond(Err(ErrorInternalServerError("no"))) }),
        )
        .route("/panics", web::get().to(panics))
        .route("/never", web::get().to(std::future::pending::<HttpResponse>))
        .route("/server-span", web::get().to(server_span))
        .route("/nested", web::get().to(nested))
        .route("/spawned", web::get().to(spawned))
        .route("/baggage", web::get().to(baggage))
        .route("/repeats/{count}", web::get().to(repeats))
        .route("/health", web::get().to(health))
        .route("/health/ready", web::get().to(health));
}

fn respond(result: Result<HttpResponse, actix_web::Error>) -> Result<HttpResponse, actix_web::Error> {
    result
}

async fn item(id: Path<String>) -> impl Responder {
    span::set("order.id", id.into_inner());
    tracing::info!("item was read");
    "an item"
}

async fn streamed() -> HttpResponse {
    let chunks = stream::iter(["a", "b", "c"]).then(|chunk| async move {
        tokio::task::yield_now().await;
        tracing::info_span!("chunk").in_scope(|| {});
        Ok::<_, Infallible>(Bytes::from_static(chunk.as_bytes()))
    });
    HttpResponse::Ok().body(BodyStream::new(chunks))
}

async fn endless() -> HttpResponse {
    let chunks = stream::repeat(Bytes::from_static(&[b'x'; 16 << 10])).map(Ok::<_, Infallible>);
    HttpResponse::Ok().streaming(chunks)
}

async fn broken_body() -> HttpResponse {
    let chunks = stream::iter([
        Ok(Bytes::from_static(b"a")),
        Err(std::io::Error::other("the source dried up")),
    ]);
    HttpResponse::Ok().body(BodyStream::new(chunks))
}

async fn short_body() -> HttpResponse {
    let chunks = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"abc"))]);
    HttpResponse::Ok().body(SizedStream::new(3, chunks))
}

#[allow(clippy::unused_async, reason = "a handler is async")]
async fn panics() -> HttpResponse {
    panic!("on purpose");
}

async fn server_span(server: ServerSpan) -> &'static str {
    tracing::info_span!("inner").in_scope(|| server.set("parcel.id", 7_i64));
    "in a span"
}

/// tracing within OpenTelemetry within tracing within OpenTelemetry.
async fn nested() -> &'static str {
    async {
        statements::select(async {
            async { tracing::info!("deep inside") }
                .instrument(tracing::info_span!("inner"))
                .await;
            Ok(())
        })
        .await
        .unwrap();
    }
    .instrument(tracing::info_span!("outer"))
    .await;
    "nested"
}

async fn spawned() -> &'static str {
    let work = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        statements::select(async { Ok(()) }).await.unwrap();
    };
    let task = tokio::spawn(work.instrument(tracing::info_span!("task")));
    task.await.unwrap();
    "spawned"
}

/// The caller's baggage inside the service.
async fn baggage() -> String {
    Context::map_current(|context| context.baggage().to_string())
}

async fn repeats(count: Path<u32>) -> &'static str {
    for _ in 0..*count {
        statements::select(async { Ok(()) }).await.unwrap();
    }
    "repeated"
}

async fn health() -> &'static str {
    let check = async { statements::select(async { Ok(()) }).await.unwrap() };
    check.instrument(tracing::info_span!("check")).await;
    "ok"
}
