//! The values of a metric's series over time, as stored.

use std::sync::Arc;

use crate::metric::{Point, PointValue};

/// A value, and when it was measured. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) start_unix_nano: u64,
    pub(crate) time_unix_nano: u64,
    pub(crate) value: SampleValue,
    /// An estimate of the memory used. Of samples that share bounds, the first has those.
    pub(crate) bytes: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SampleValue {
    Int(i64),
    Double(f64),
    Distribution(Box<Distribution>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// Shared by the samples of a series while they are equal.
    pub(crate) bounds: Arc<[f64]>,
    pub(crate) buckets: Box<[u64]>,
}

impl Sample {
    /// The sample of a point, which shares what it can with the one before it.
    pub(crate) fn of(point: &mut Point, previous: Option<&Self>) -> Self {
        let value = std::mem::replace(&mut point.value, PointValue::Int { value: 0 });
        let value = match value {
            PointValue::Int { value } => SampleValue::Int(value),
            PointValue::Double { value } => SampleValue::Double(value),
            PointValue::Distribution {
                count,
                sum,
                min,
                max,
                bounds,
                buckets,
            } => {
                let shared = previous
                    .and_then(Self::bounds)
                    .filter(|shared| ***shared == *bounds);
                SampleValue::Distribution(Box::new(Distribution {
                    count,
                    sum,
                    min,
                    max,
                    bounds: shared.map_or_else(|| bounds.into(), Arc::clone),
                    buckets: buckets.into(),
                }))
            }
        };
        let mut sample = Self {
            start_unix_nano: point.start_unix_nano,
            time_unix_nano: point.time_unix_nano,
            value,
            bytes: size_of::<Self>(),
        };
        if let SampleValue::Distribution(distribution) = &sample.value {
            sample.bytes += size_of::<Distribution>() + size_of_val(&*distribution.buckets);
        }
        if previous.is_none_or(|previous| !sample.shares_bounds_of(previous)) {
            sample.bytes += sample.bounds_bytes();
        }
        sample
    }

    pub(crate) fn point_value(&self) -> PointValue {
        match &self.value {
            SampleValue::Int(value) => PointValue::Int { value: *value },
            SampleValue::Double(value) => PointValue::Double { value: *value },
            SampleValue::Distribution(distribution) => PointValue::Distribution {
                count: distribution.count,
                sum: distribution.sum,
                min: distribution.min,
                max: distribution.max,
                bounds: distribution.bounds.to_vec(),
                buckets: distribution.buckets.to_vec(),
            },
        }
    }

    /// Whether it repeats the value of another sample of the series.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        self.start_unix_nano == other.start_unix_nano && self.value == other.value
    }

    pub(crate) fn shares_bounds_of(&self, other: &Self) -> bool {
        let bounds = self.bounds().zip(other.bounds());
        bounds.is_some_and(|(bounds, others)| Arc::ptr_eq(bounds, others))
    }

    pub(crate) fn bounds_bytes(&self) -> usize {
        self.bounds().map_or(0, |bounds| size_of_val(&**bounds))
    }

    fn bounds(&self) -> Option<&Arc<[f64]>> {
        match &self.value {
            SampleValue::Distribution(distribution) => Some(&distribution.bounds),
            SampleValue::Int(_) | SampleValue::Double(_) => None,
        }
    }
}
