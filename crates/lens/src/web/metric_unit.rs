//! How the values of a metric are written, by its unit in UCUM.

use super::time_axis::seconds;
use crate::series::MetricName;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Bytes,
    /// A monotonic sum, or the number of values of a distribution.
    PerSecond,
    BytesPerSecond,
    Plain,
}

impl Unit {
    /// Of the metric's lines.
    pub(super) fn of(metric: &MetricName) -> Self {
        match Self::of_values(&metric.unit) {
            _ if metric.is_distribution() => Self::PerSecond,
            Self::Bytes if metric.monotonic => Self::BytesPerSecond,
            _ if metric.monotonic => Self::PerSecond,
            unit => unit,
        }
    }

    /// Of the values themselves.
    pub(super) fn of_values(ucum: &str) -> Self {
        match ucum {
            "s" => Self::Seconds,
            "ms" => Self::Milliseconds,
            "By" => Self::Bytes,
            _ => Self::Plain,
        }
    }

    pub(super) fn write(self, value: f64) -> String {
        self.writer()(value)
    }

    pub(super) fn writer(self) -> fn(f64) -> String {
        match self {
            Self::Seconds => seconds,
            Self::Milliseconds => |value| seconds(value / 1e3),
            Self::Bytes => bytes,
            Self::PerSecond => ui::rate,
            Self::BytesPerSecond => |value| format!("{}/s", bytes(value)),
            Self::Plain => ui::decimal,
        }
    }

    /// A value as a duration of the search language; `None` if it is not a time.
    pub(super) fn duration(self, value: f64) -> Option<String> {
        match self {
            Self::Seconds => Some(format!("{value}s")),
            Self::Milliseconds => Some(format!("{value}ms")),
            _ => None,
        }
    }
}

/// `12 MiB`.
fn bytes(value: f64) -> String {
    let units = [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1024.0)];
    let unit = units.into_iter().find(|(_, size)| value.abs() >= *size);
    unit.map_or_else(
        || format!("{} B", ui::decimal(value)),
        |(unit, size)| format!("{} {unit}", ui::decimal(value / size)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_unit_that_people_use() {
        assert_eq!(Unit::Seconds.write(0.0021), "2.1 ms");
        assert_eq!(Unit::Milliseconds.write(1_500.0), "1.5 s");
        assert_eq!(Unit::Bytes.write(12_582_912.0), "12 MiB");
        assert_eq!(Unit::Bytes.write(-5.0), "-5 B");
        assert_eq!(Unit::BytesPerSecond.write(2_048.0), "2 KiB/s");
        assert_eq!(Unit::Seconds.write(-1.0), "0 ms");
        assert_eq!(Unit::Seconds.duration(0.05).as_deref(), Some("0.05s"));
    }
}
