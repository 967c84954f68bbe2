//! Charts of metrics: values of counters and gauges, rates, and distributions over time.

mod chart;
mod distribution;
mod growth;
mod stored;

pub use chart::{MetricLine, MetricName, MetricQuery, MetricSeries};
pub use distribution::DistributionSeries;
pub(crate) use stored::StoredSeries;
