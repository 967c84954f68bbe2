//! What happened within each 10 seconds of the last day, for charts. A worker writes the samples; here they are
//! cached, so that a page costs PostgreSQL nothing, and a refresh only the latest rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use store::Store;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long samples are kept: a day, and the margin of what is compared.
const RETENTION: TimeDelta = TimeDelta::hours(26);
/// The samples that are read again, since a worker may write late ones.
const UNSETTLED: TimeDelta = TimeDelta::minutes(5);
/// The age up to which cached samples are used.
const MAX_AGE: Duration = Duration::from_secs(2);

/// What happened within 10 seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) at: DateTime<Utc>,
    pub(crate) created: u64,
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    pub(crate) failed_by_code: Vec<(String, u64)>,
    /// From the creation to the final state; `None` if no order became final.
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// Unfinished orders by what they wait for: `processing`, `gateway`, `backoff`, `dispatch`, `paused`.
    pub(crate) unfinished: Vec<(String, u64)>,
    /// The age of the oldest unfinished order.
    pub(crate) oldest: Option<Duration>,
    pub(crate) waiting_jobs: Option<u64>,
    pub(crate) gateway_available: Option<bool>,
}

impl Sample {
    /// Orders that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed_by_code.iter().map(|(_, count)| count).sum()
    }

    /// Orders that became final.
    pub(crate) fn finished(&self) -> u64 {
        self.completed + self.cancelled + self.failed()
    }
}

/// The samples of the last day. Clones share them.
#[derive(Clone)]
pub(crate) struct Samples {
    store: Store,
    cached: Arc<Mutex<Cached>>,
}

#[derive(Default)]
struct Cached {
    read_at: Option<Instant>,
    by_time: BTreeMap<DateTime<Utc>, Arc<Sample>>,
}

impl Samples {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            cached: Arc::default(),
        }
    }

    /// Those of the last `period`, oldest first. While PostgreSQL is unavailable, those that are known.
    pub(crate) async fn since(&self, period: TimeDelta) -> Vec<Arc<Sample>> {
        let mut cached = self.cached.lock().await;
        if cached.read_at.is_none_or(|at| at.elapsed() > MAX_AGE) {
            self.refresh(&mut cached).await;
        }
        let from = Utc::now() - period;
        cached
            .by_time
            .range(from..)
            .map(|(_, sample)| Arc::clone(sample))
            .collect()
    }

    /// The latest, if it is recent.
    pub(crate) async fn latest(&self) -> Option<Arc<Sample>> {
        self.since(TimeDelta::minutes(1)).await.pop()
    }

    async fn refresh(&self, cached: &mut Cached) {
        let oldest = Utc::now() - RETENTION;
        let newest = cached.by_time.last_key_value().map(|(at, _)| *at - UNSETTLED);
        let from = newest.unwrap_or(oldest).max(oldest);
        match telemetry::span::untraced(read(&self.store, from)).await {
            Ok(samples) => {
                let samples = samples.into_iter().map(|sample| (sample.at, Arc::new(sample)));
                cached.by_time.extend(samples);
                cached.by_time = cached.by_time.split_off(&oldest);
            }
            Err(error) => tracing::debug!(%error, "cannot read samples"),
        }
        cached.read_at = Some(Instant::now());
    }
}

async fn read(_store: &Store, _from: DateTime<Utc>) -> Result<Vec<Sample>, store::StoreError> {
    Ok(Vec::new())
}
