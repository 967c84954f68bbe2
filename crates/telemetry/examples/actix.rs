//! A service of actix-web. Lines are on stdout, and OTLP goes to `localhost:4318` or
//! `OTEL_EXPORTER_OTLP_ENDPOINT`.
//!
//! ```sh
//! cargo run -p throughline-telemetry --features full --example actix
//! curl -i localhost:8080/parcels/7    # X-Request-Id and traceresponse name its trace
//! ```

use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::web::{self, Html, Path};
use actix_web::{App, HttpServer};
use throughline_telemetry::http::server::{ServerSpan, Tracing};
use throughline_telemetry::{init, template};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("parcels", env!("CARGO_PKG_VERSION"))?;
    let app = || {
        let tracing = Tracing::new()
            .exclude("/health")
            .exclude_if(|request| request.path().ends_with(".css"))
            .capture_request_headers(["x-parcel-kind"])
            .server_span()
            .request_id()
            .trace_response()
            .active_requests()
            .body_sizes();
        // The last of all wraps is the outermost.
        App::new()
            .route("/parcels/{id}", web::get().to(parcel))
            .wrap(tracing)
    };
    // Without half-closed connections, a handler ends when its client disconnects.
    let server = HttpServer::new(app).h1_allow_half_closed(false);
    server.bind(("127.0.0.1", 8080))?.run().await?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn parcel(id: Path<i64>, server: ServerSpan) -> actix_web::Result<Html> {
    server.set("parcel.id", *id);
    tracing::info!(parcel.id = *id, "a parcel was shown");
    let page = template::render("parcel.html", || {
        Ok::<_, fmt::Error>(format!("<p>Parcel {id}</p>"))
    });
    page.map(Html::new)
        .map_err(actix_web::error::ErrorInternalServerError)
}
