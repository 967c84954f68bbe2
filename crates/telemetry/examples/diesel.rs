//! Statements of diesel-async, without a line for each: every connection makes their spans. A statement that
//! the program describes has the comment and the summary of its description.
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/postgres cargo run -p throughline-telemetry --features full --example
//! diesel
//! ```

use std::error::Error;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use throughline_telemetry::db::{Server, commented, trace_connections};
use throughline_telemetry::{init, statement};
use tracing::Instrument;

diesel::table! { pg_class (oid) { oid -> Oid, relname -> Text, } }

statement! { Tables: "SELECT" "pg_class", action "list_tables", framework "none"; }

const SLOW: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("parcels", env!("CARGO_PKG_VERSION"))?;
    trace_connections(SLOW)?;
    let url = std::env::var("DATABASE_URL")?;
    // A trace does not begin with a statement, so there is a span around it.
    read(&url).instrument(tracing::info_span!("read")).await?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn read(url: &str) -> Result<(), Box<dyn Error>> {
    let mut connection = AsyncPgConnection::establish(url).await?;
    let count: i64 = pg_class::table.count().get_result(&mut connection).await?;
    tracing::info!(count, "existing code: `SELECT pg_class`");

    let server = Server::from_url(url, SLOW);
    let names = commented::<Tables, _>(pg_class::table.select(pg_class::relname).limit(1));
    let names = server
        .run::<Tables, _>(names.load::<String>(&mut connection))
        .await?;
    tracing::info!(
        count = names.len(),
        "described, with an action: `SELECT pg_class`"
    );
    Ok(())
}
