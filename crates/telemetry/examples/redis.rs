//! Commands of Redis, by a connection that makes their spans.
//!
//! ```sh
//! REDIS_URL=redis://localhost cargo run -p throughline-telemetry --features full --example redis
//! ```

use std::error::Error;
use std::time::Duration;

use redis::AsyncCommands;
use throughline_telemetry::cache::{Connection, Server};
use throughline_telemetry::init;
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("parcels", env!("CARGO_PKG_VERSION"))?;
    let client = redis::Client::open(std::env::var("REDIS_URL")?)?;
    let plain = client.get_multiplexed_async_connection().await?;
    // Keys are shown as the patterns that they match, or as `?`.
    let connection = Connection::new(plain, Server::new("localhost", 6379, 0));
    let mut connection = connection.key_patterns(["parcel:*"]);
    let working = async {
        let () = connection.set_ex("parcel:7", "delivered", 60).await?;
        connection.get::<_, String>("parcel:7").await
    };
    let state = working.instrument(tracing::info_span!("work")).await?;
    tracing::info!("{state}: `SETEX parcel:* ? ?`, `GET parcel:*`");
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
