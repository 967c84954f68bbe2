//! A pool of diesel-async's connections to PostgreSQL, traced and measured in one call.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;

use super::connection::trace_connections;
use super::pool::{PoolState, observe_pool};
use super::server::Server;

/// A pool with deadpool's settings, whose statements and new connections have spans, by
/// [`trace_connections`], and whose state is measured, by [`observe_pool`], under the name
/// `host:port/database`. For a pool with other settings, call these two. It connects at its first use.
///
/// ```
/// # async fn add() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use diesel_async::RunQueryDsl;
/// use throughline_telemetry::db::traced_pool;
///
/// let pool = traced_pool("postgres://localhost/shop", Duration::from_millis(100))?;
/// let insert = diesel::sql_query("INSERT INTO parcels DEFAULT VALUES");
/// insert.execute(&mut pool.get().await?).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`trace_connections`].
pub fn traced_pool(url: &str, slow: Duration) -> ConnectionResult<Pool<AsyncPgConnection>> {
    trace_connections(slow).map_err(ConnectionError::CouldntSetupConfiguration)?;
    let manager = AsyncDieselConnectionManager::new(url);
    let pool = Pool::builder(manager).build();
    let pool = pool.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    let observed = pool.clone();
    observe_pool(&Server::from_url(url, slow).pool_name(), move || {
        let status = observed.status();
        PoolState {
            idle: status.available,
            used: status.size.saturating_sub(status.available),
            max: status.max_size,
            pending: status.waiting,
        }
    });
    Ok(pool)
}
