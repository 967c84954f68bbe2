//! The last export of each metric of each process. Beyond the limit, the oldest exports are evicted.

use std::collections::BTreeMap;

use crate::metric::Metric;

#[derive(Debug)]
pub(super) struct Metrics {
    max_bytes: usize,
    bytes: usize,
    arrivals: u64,
    by_key: BTreeMap<Key, Stored>,
    by_arrival: BTreeMap<u64, Key>,
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
            by_arrival: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, metrics: Vec<Metric>) {
        for metric in metrics {
            self.arrivals += 1;
            let key = Key::of(&metric);
            let bytes = metric.bytes() + 2 * key.bytes();
            self.bytes += bytes;
            let arrival = self.arrivals;
            self.by_arrival.insert(arrival, key.clone());
            if let Some(previous) = self.by_key.insert(
                key,
                Stored {
                    metric,
                    arrival,
                    bytes,
                },
            ) {
                self.bytes -= previous.bytes;
                self.by_arrival.remove(&previous.arrival);
            }
        }
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_arrival.pop_first()
            && let Some(removed) = self.by_key.remove(&oldest)
        {
            self.bytes -= removed.bytes;
        }
    }

    /// Sorted by service, process, name and library.
    pub(super) fn all(&self) -> Vec<Metric> {
        self.by_key.values().map(|stored| stored.metric.clone()).collect()
    }
}

impl Key {
    fn of(metric: &Metric) -> Self {
        Self {
            service: metric.service.to_string(),
            instance: metric.instance().to_owned(),
            name: metric.name.clone(),
            scope: metric.scope.name.clone(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.service.len() + self.instance.len() + self.name.len() + self.scope.len()
    }
}
