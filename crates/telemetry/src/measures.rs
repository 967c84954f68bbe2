//! The instruments of operations, and their time series. An operation does not look up its series by the
//! attributes: instruments are bound to them once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use crate::scope::is_metering;

/// The instruments of one kind of operation. A share of a batch has fewer than an operation of its own.
#[derive(Debug)]
pub(crate) struct Measures {
    /// In seconds.
    pub(crate) duration: Option<Histogram<f64>>,
    /// Incremented when the operation ends.
    pub(crate) count: Option<Counter<u64>>,
}

/// The time series of these instruments with these attributes.
#[derive(Debug)]
pub(crate) struct Series {
    measures: &'static Measures,
    attributes: Vec<KeyValue>,
    bound: OnceLock<Bound>,
}

/// The instruments of a series.
#[derive(Debug)]
struct Bound {
    duration: Option<BoundHistogram<f64>>,
    count: Option<BoundCounter<u64>>,
}

impl Series {
    /// `None` if metrics are not exported.
    pub(crate) fn new(
        measures: &'static Measures,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) -> Option<Arc<Self>> {
        is_metering().then(|| {
            Arc::new(Self {
                measures,
                attributes: attributes.into_iter().collect(),
                bound: OnceLock::new(),
            })
        })
    }

    /// Records an operation. With `late` attributes it belongs to another series.
    pub(crate) fn record(&self, seconds: f64, late: &[KeyValue]) {
        let Measures { duration, count } = self.measures;
        if late.is_empty() {
            let attributes = self.attributes.as_slice();
            let bound = self.bound.get_or_init(|| Bound {
                duration: duration.as_ref().map(|it| it.bind(attributes)),
                count: count.as_ref().map(|it| it.bind(attributes)),
            });
            if let Some(duration) = &bound.duration {
                duration.record(seconds);
            }
            if let Some(count) = &bound.count {
                count.add(1);
            }
            return;
        }
        let attributes = [self.attributes.as_slice(), late].concat();
        if let Some(duration) = duration {
            duration.record(seconds, &attributes);
        }
        if let Some(count) = count {
            count.add(1, &attributes);
        }
    }
}

/// The series of an integration, by a key that decides their attributes. The program bounds the keys.
#[derive(Debug)]
pub(crate) struct SeriesByKey<K>(RwLock<HashMap<K, Arc<Series>>>);

impl<K> Default for SeriesByKey<K> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq> SeriesByKey<K> {
    /// `None` if metrics are not exported.
    pub(crate) fn get<I: IntoIterator<Item = KeyValue>>(
        &self,
        key: K,
        measures: &'static Measures,
        attributes: impl FnOnce() -> I,
    ) -> Option<Arc<Series>> {
        if !is_metering() {
            return None;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&key) {
            return Some(Arc::clone(series));
        }
        drop(known);
        let series = Series::new(measures, attributes())?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(known.entry(key).or_insert(series)))
    }
}
