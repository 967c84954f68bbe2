//! The metrics of any connection pool: its owner supplies the state, and reports waits and timeouts.
//! <https://opentelemetry.io/docs/specs/semconv/database/database-metrics/#connection-pools>

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};

use crate::instruments::DB_DURATION_BUCKETS;
use crate::metrics::{counter, histogram};
use crate::names;
use crate::scope::meter;

/// The state of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Idle connections.
    pub idle: usize,
    /// Connections in use.
    pub used: usize,
    /// The largest number of connections.
    pub max: usize,
    /// Callers waiting for a connection.
    pub pending: usize,
}

/// The metrics of a pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PoolMetrics {
    attributes: Arc<[KeyValue]>,
    wait_time: Histogram<f64>,
    timeouts: Counter<u64>,
}

/// Registers the metrics of the pool called `name`. `state` is called at every export and must not block.
///
/// ```
/// # async fn get() -> Result<(), &'static str> { Ok(()) }
/// # async fn run() -> Result<(), &'static str> {
/// use throughline_telemetry::db::{PoolState, observe_pool};
///
/// let metrics = observe_pool("parcels", || PoolState { idle: 3, used: 1, max: 16, pending: 0 });
/// let connection = metrics.wait(get(), |error| *error == "timed out").await?;
/// # Ok(())
/// # }
/// ```
pub fn observe_pool(name: &str, state: impl Fn() -> PoolState + Send + Sync + 'static) -> PoolMetrics {
    let state = Arc::new(state);
    let pool = KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, Arc::<str>::from(name));
    let in_state = |state| {
        [
            pool.clone(),
            KeyValue::new(names::DB_CLIENT_CONNECTION_STATE, state),
        ]
    };
    let (idle, used) = (in_state("idle"), in_state("used"));

    let read = Arc::clone(&state);
    meter()
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description(
            "The number of connections that are currently in state described by the state attribute.",
        )
        .with_callback(move |count| {
            let state = read();
            count.observe(whole(state.idle), &idle);
            count.observe(whole(state.used), &used);
        })
        .build();
    let observe = |name, unit, description, read: fn(&PoolState) -> usize| {
        let (state, attributes) = (Arc::clone(&state), [pool.clone()]);
        meter()
            .i64_observable_up_down_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |count| count.observe(whole(read(&state())), &attributes))
            .build();
    };
    observe(
        "db.client.connection.max",
        "{connection}",
        "The maximum number of open connections allowed.",
        |state| state.max,
    );
    observe(
        "db.client.connection.pending_requests",
        "{request}",
        "The number of current pending requests for an open connection.",
        |state| state.pending,
    );
    PoolMetrics {
        attributes: [pool].into(),
        wait_time: histogram(
            "db.client.connection.wait_time",
            "s",
            "The time it took to obtain an open connection from the pool.",
            DB_DURATION_BUCKETS,
        ),
        timeouts: counter(
            "db.client.connection.timeouts",
            "{timeout}",
            "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
        ),
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl PoolMetrics {
    /// Counts a timeout of a caller that [`wait`](Self::wait) does not see.
    pub fn count_timeout(&self) {
        self.timeouts.add(1, &self.attributes);
    }

    /// Waits for a connection and records the result. `timed_out` recognizes a timeout among the errors.
    ///
    /// # Errors
    /// Those of `connection`.
    pub async fn wait<C, E>(
        &self,
        connection: impl Future<Output = Result<C, E>>,
        timed_out: impl FnOnce(&E) -> bool,
    ) -> Result<C, E> {
        let started = Instant::now();
        let result = connection.await;
        match &result {
            Ok(_) => self
                .wait_time
                .record(started.elapsed().as_secs_f64(), &self.attributes),
            Err(error) if timed_out(error) => self.count_timeout(),
            Err(_) => {}
        }
        result
    }
}
