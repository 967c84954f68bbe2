//! The points of every metric of each process, as series of samples. Beyond the limit, the samples that
//! arrived first are evicted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::metric_series::Series;
use crate::attributes::Attributes;
use crate::metric::{Metric, Point, Temporality};
use crate::samples::Sample;
use crate::series::{MetricName, MetricQuery, StoredSeries};

/// Estimated bytes of a series or a metric besides its texts: its entries in the maps.
const ENTRY_OVERHEAD: usize = 200;
#[derive(Debug)]
pub(super) struct Metrics {
    max_bytes: usize,
    bytes: usize,
    exports: u64,
    by_key: BTreeMap<Arc<Key>, Stored>,
    /// The metric and the series of each sample.
    by_arrival: VecDeque<(Arc<Key>, Arc<str>)>,
}

/// A metric of a process.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    service: String,
    instance: String,
    name: String,
    scope: String,
}

#[derive(Debug)]
struct Stored {
    /// As last exported, without its points.
    metric: Metric,
    series: BTreeMap<Arc<str>, Series>,
    /// The number of the last export.
    export: u64,
    bytes: usize,
}

impl Metrics {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            exports: 0,
            by_key: BTreeMap::new(),
            by_arrival: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, metrics: Vec<Metric>) {
        for metric in metrics.into_iter().filter(|metric| !metric.points.is_empty()) {
            self.add_metric(metric);
        }
        while self.bytes > self.max_bytes
            && let Some((key, series)) = self.by_arrival.pop_front()
        {
            self.evict_sample(&key, &series);
        }
    }

    /// The last export of each, sorted by service, process, name and library.
    pub(super) fn all(&self) -> Vec<Metric> {
        self.by_key.values().map(Stored::last_export).collect()
    }

    /// All samples of the metric with this index: its earlier ones by series, and its last export.
    pub(super) fn samples(&self, index: usize) -> Option<Vec<Metric>> {
        let stored = self.by_key.values().nth(index)?;
        let earlier = stored.series.values().map(|series| Metric {
            points: series.earlier_points(stored.export),
            ..stored.metric.clone()
        });
        Some(
            earlier
                .filter(|metric| !metric.points.is_empty())
                .chain([stored.last_export()])
                .collect(),
        )
    }

    /// Sorted by name.
    pub(super) fn names(&self) -> Vec<MetricName> {
        let mut names: BTreeMap<&str, MetricName> = BTreeMap::new();
        for (key, stored) in &self.by_key {
            let name = names
                .entry(&key.name)
                .or_insert_with(|| MetricName::of(&stored.metric));
            name.add(&stored.metric, stored.series.len());
        }
        names.into_values().collect()
    }

    /// The series of a metric of all processes, with the samples that the chart needs; `None` if there is no
    /// such metric.
    pub(super) fn series(&self, query: &MetricQuery) -> Option<(MetricName, Vec<StoredSeries>)> {
        let mut named = self
            .by_key
            .iter()
            .filter(|(key, _)| key.name == query.name)
            .peekable();
        let (_, first) = named.peek()?;
        let mut name = MetricName::of(&first.metric);
        let mut series = Vec::new();
        for (key, stored) in named {
            name.add(&stored.metric, stored.series.len());
            series.extend(stored.series.values().map(|of| StoredSeries {
                service: stored.metric.service.clone(),
                instance: key.instance.clone(),
                temporality: stored.metric.temporality,
                attributes: of.attributes.clone(),
                samples: of.around(&query.between),
            }));
        }
        Some((name, series))
    }

    fn add_metric(&mut self, mut metric: Metric) {
        self.exports += 1;
        let points = std::mem::take(&mut metric.points);
        let key = Arc::new(Key::of(&metric));
        let bytes = ENTRY_OVERHEAD + metric.bytes() + key.bytes();
        let entry = self.by_key.entry(Arc::clone(&key));
        let stored = entry.or_insert_with(|| Stored {
            metric: metric.clone(),
            series: BTreeMap::new(),
            export: 0,
            bytes: 0,
        });
        self.bytes = self.bytes + bytes - stored.bytes;
        stored.bytes = bytes;
        stored.metric = metric;
        stored.export = self.exports;
        for point in points {
            let (grown, sampled) = stored.add_point(point);
            self.bytes += grown;
            if let Some(series) = sampled {
                self.by_arrival.push_back((Arc::clone(&key), series));
            }
        }
    }

    fn evict_sample(&mut self, key: &Key, name: &str) {
        let Some(stored) = self.by_key.get_mut(key) else {
            return;
        };
        let Some(series) = stored.series.get_mut(name) else {
            return;
        };
        self.bytes -= series.pop();
        if series.samples.is_empty() {
            self.bytes -= series.bytes;
            stored.series.remove(name);
        }
        if stored.series.is_empty() {
            self.bytes -= stored.bytes;
            self.by_key.remove(key);
        }
    }
}

impl Stored {
    /// Returns the bytes that it grew by, and the name of the series if that has a further sample.
    fn add_point(&mut self, mut point: Point) -> (usize, Option<Arc<str>>) {
        let text = name_of_series(&point.attributes);
        let known = self.series.get_key_value(&*text);
        let name = known.map_or_else(|| text.as_str().into(), |(name, _)| Arc::clone(name));
        let mut grown = 0;
        let series = self.series.entry(Arc::clone(&name)).or_insert_with(|| {
            let attributes = std::mem::take(&mut point.attributes);
            grown = ENTRY_OVERHEAD + name.len() + attributes.heap_bytes();
            Series {
                attributes,
                samples: VecDeque::new(),
                export: 0,
                bytes: grown,
            }
        });
        series.export = self.export;
        // A value that is a difference is a value of its own, also if it is the same again.
        let may_repeat = self.metric.temporality != Temporality::Delta;
        match series.push(Sample::of(&mut point, series.samples.back()), may_repeat) {
            Some(bytes) => (grown + bytes, Some(name)),
            None => (grown, None),
        }
    }

    fn last_export(&self) -> Metric {
        let of_last = self.series.values().filter(|series| series.export == self.export);
        Metric {
            points: of_last
                .filter_map(|series| Some(series.point(series.samples.back()?)))
                .collect(),
            ..self.metric.clone()
        }
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

/// The same for the same attributes in any order.
fn name_of_series(attributes: &Attributes) -> String {
    let mut pairs: Vec<String> = attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.sort_unstable();
    pairs.join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Value;
    use crate::fixtures;
    use crate::metric::{MetricKind, PointValue};

    fn metric(name: &str, series: i64, time: u64, value: PointValue) -> Metric {
        Metric {
            points: vec![Point {
                attributes: [("series".to_owned(), Value::Int(series))].into_iter().collect(),
                start_unix_nano: 1,
                time_unix_nano: time,
                value,
            }],
            ..fixtures::metric(name, MetricKind::Sum)
        }
    }

    fn samples(metrics: &Metrics) -> usize {
        metrics
            .by_key
            .values()
            .flat_map(|stored| stored.series.values())
            .map(|series| series.samples.len())
            .sum()
    }

    #[test]
    fn the_oldest_samples_are_evicted_and_every_byte_is_given_back() {
        let mut metrics = Metrics::new(20_000);
        for time in 0..1_000 {
            let buckets = vec![time; 10];
            let value = PointValue::Distribution {
                count: time,
                sum: None,
                min: None,
                max: None,
                // Changes at times, and is shared in between.
                bounds: vec![f64::from(u32::try_from(time / 7).unwrap()); 9],
                buckets,
            };
            metrics.add(vec![metric(&format!("m{}", time % 3), 1, time, value)]);
            assert!(metrics.bytes <= metrics.max_bytes);
        }
        let stored = samples(&metrics);
        assert!((20..200).contains(&stored), "{stored}");
        assert_eq!(metrics.by_arrival.len(), stored);
        metrics.max_bytes = 0;
        metrics.add(Vec::new());
        assert_eq!(
            (metrics.bytes, metrics.by_key.len(), metrics.by_arrival.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_value_that_does_not_change_takes_no_more_memory() {
        let mut metrics = Metrics::new(20_000);
        for time in 0..100 {
            metrics.add(vec![metric("m", 1, time, PointValue::Int { value: 5 })]);
        }
        assert_eq!(samples(&metrics), 2);
        assert_eq!(metrics.all()[0].points[0].time_unix_nano, 99);
    }

    #[test]
    fn only_the_series_of_the_last_export_are_current() {
        let mut metrics = Metrics::new(20_000);
        metrics.add(vec![metric("m", 1, 1, PointValue::Int { value: 5 })]);
        metrics.add(vec![metric("m", 2, 2, PointValue::Int { value: 6 })]);
        let current = metrics.all();
        assert_eq!((current.len(), current[0].points.len()), (1, 1));
        assert_eq!(current[0].points[0].value, PointValue::Int { value: 6 });
        assert_eq!(samples(&metrics), 2);
    }
}
