//! The connections of diesel itself: a blocking one to PostgreSQL, and one to SQLite.

use std::error::Error;
use std::time::Duration;

use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, insert_into, prelude::*};
use throughline_telemetry::{db::trace_connections, init};

diesel::table! { parcels (id) { id -> BigInt, } }

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("sync", env!("CARGO_PKG_VERSION"))?;
    trace_connections(Duration::from_secs(1))?;
    tracing::info_span!("postgresql").in_scope(postgresql)?;
    tracing::info_span!("sqlite").in_scope(sqlite)?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

fn postgresql() -> Result<(), Box<dyn Error>> {
    let mut connection = PgConnection::establish(&std::env::var("DATABASE_URL")?)?;
    let add = || insert_into(parcels::table).values(parcels::id.eq(4711));
    add().execute(&mut connection)?;
    connection.transaction(|connection| parcels::table.count().get_result::<i64>(connection))?;
    add().execute(&mut connection).expect_err("a second parcel 4711");
    Ok(())
}

fn sqlite() -> Result<(), Box<dyn Error>> {
    let mut connection = SqliteConnection::establish(":memory:")?;
    diesel::sql_query("CREATE TABLE parcels (id INTEGER PRIMARY KEY)").execute(&mut connection)?;
    let add = || insert_into(parcels::table).values(parcels::id.eq(4711));
    add().execute(&mut connection)?;
    add().execute(&mut connection).expect_err("a second parcel 4711");
    Ok(())
}
