//! The last export of each metric of each process. Beyond the limit, the oldest exports are evicted.

use std::collections::BTreeMap;

use crate::metric::Metric;

#[derive(Debug)]
pub(super) struct Metrics {
    max_bytes: usize,
    bytes: usize,
    arrivals: u64,
    by_key: BTreeMap<Key, Stored>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    service: String,
    instance: String,
    name: String,
    scope: String,
}

#[derive(Debug)]
struct Stored {
    metric: Metric,
    arrival: u64,
    bytes: usize,
}

impl Metrics {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            arrivals: 0,
            by_key: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, metrics: Vec<Metric>) {
        for metric in metrics {
            self.arrivals += 1;
            let key = Key::of(&metric);
            let bytes = metric.bytes() + key.bytes();
            self.bytes += bytes;
            let arrival = self.arrivals;
            if let Some(previous) = self.by_key.insert(
                key,
                Stored {
                    metric,
                    arrival,
                    bytes,
                },
            ) {
                self.bytes -= previous.bytes;
            }
        }
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.oldest()
            && let Some(removed) = self.by_key.remove(&oldest)
        {
            self.bytes -= removed.bytes;
        }
    }

    /// Sorted by service, process, name and library.
    pub(super) fn all(&self) -> Vec<Metric> {
        self.by_key.values().map(|stored| stored.metric.clone()).collect()
    }

    fn oldest(&self) -> Option<Key> {
        let oldest = self.by_key.iter().min_by_key(|(_, stored)| stored.arrival);
        oldest.map(|(key, _)| key.clone())
    }
}

impl Key {
    fn of(metric: &Metric) -> Self {
        Self {
            service: metric.service.clone(),
            instance: metric.instance().to_owned(),
            name: metric.name.clone(),
            scope: metric.scope.name.clone(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.service.len() + self.instance.len() + self.name.len() + self.scope.len()
    }
}
