//! Calls of reqwest: the traced client, and the same as a middleware.
//!
//! ```sh
//! cargo run -p throughline-telemetry --features full --example reqwest -- https://example.com
//! ```

use std::error::Error;
use std::time::Duration;

use throughline_telemetry::http::client::{Call, CallTracing, Client};
use throughline_telemetry::init;
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("parcels", env!("CARGO_PKG_VERSION"))?;
    let url = std::env::args()
        .nth(1)
        .unwrap_or("http://localhost:8080".to_owned());
    call(&url).instrument(tracing::info_span!("call")).await?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn call(url: &str) -> Result<(), Box<dyn Error>> {
    // Servers of others get no trace context.
    let tracing = CallTracing::new().without_propagation_to(["example.com", ".example.com"]);
    let client = Client::new(reqwest::Client::new()).with_tracing(tracing.clone());
    let parcel = client
        .get(format!("{url}/parcels/7"))
        .url_template("/parcels/{id}")
        .with(|request| request.timeout(Duration::from_secs(5)));
    tracing::info!("{}: `GET /parcels/{{id}}`", parcel.send().await?.status());

    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new());
    let client = client.with(tracing).build();
    let parcel = client.get(format!("{url}/parcels/8"));
    let parcel = parcel.with_extension(Call::new().url_template("/parcels/{id}"));
    tracing::info!("{}: the same by a middleware", parcel.send().await?.status());
    Ok(())
}
