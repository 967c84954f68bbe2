//! What happened within each 10 seconds of the last day, for charts. A worker writes the samples; here they
//! are cached, so that a page costs PostgreSQL nothing, and a refresh only the latest rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use store::{SAMPLE_LENGTH, Sample, Store};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long samples are kept: a day, and the margin of what is compared.
const RETENTION: TimeDelta = TimeDelta::hours(26);
/// The latest samples are read again.
const UNSETTLED: TimeDelta = TimeDelta::minutes(1);
/// The age up to which cached samples are used.
const MAX_AGE: Duration = Duration::from_secs(2);

/// Orders that failed within a sample.
pub(crate) fn failed(sample: &Sample) -> i64 {
    sample.failed.values().sum()
}

/// Orders that became final within a sample.
pub(crate) fn finished(sample: &Sample) -> i64 {
    sample.completed + sample.cancelled + failed(sample)
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
        match telemetry::span::untraced(self.store.samples(from, SAMPLE_LENGTH)).await {
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
