//! The metrics as the collector's Prometheus exporter names them, by the rules of OpenTelemetry's
//! compatibility specification.

use super::metrics::{Kind, MetricRow, ROWS};

/// A series of a metric that Prometheus stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub name: String,
    /// Those of the metric's attributes. `job` and `instance` are not among them.
    pub labels: Vec<String>,
}

/// The series of every metric of the contract; a histogram has three.
#[must_use]
pub fn series() -> Vec<Series> {
    ROWS.iter().flat_map(series_of).collect()
}

fn series_of(row: &MetricRow) -> Vec<Series> {
    let attributes = row.always.iter().chain(row.allowed);
    let labels: Vec<String> = attributes.map(|name| underscores(name)).collect();
    let gauge = row.kind == Kind::Gauge;
    let name = exported_name(row.name, row.unit, gauge);
    let series = |suffix: &str, bound: Option<&str>| Series {
        name: format!("{name}{suffix}"),
        labels: labels.iter().cloned().chain(bound.map(str::to_owned)).collect(),
    };
    match row.kind {
        Kind::Counter => vec![series("_total", None)],
        Kind::UpDown | Kind::Gauge => vec![series("", None)],
        Kind::Histogram(_) => vec![
            series("_bucket", Some("le")),
            series("_sum", None),
            series("_count", None),
        ],
    }
}

/// A name with its unit, before the suffix of its kind. A unit in braces is an annotation, and left out.
#[must_use]
pub fn exported_name(name: &str, unit: &str, is_gauge: bool) -> String {
    let (unit, per) = unit.split_once('/').unwrap_or((unit, ""));
    let suffix = match unit {
        "s" => "_seconds",
        "ms" => "_milliseconds",
        "By" => "_bytes",
        "1" if is_gauge => "_ratio",
        _ => "",
    };
    let per = if per == "s" { "_per_second" } else { "" };
    format!("{}{suffix}{per}", underscores(name))
}

fn underscores(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_units_and_kinds() {
        let all = series();
        let names: Vec<&str> = all.iter().map(|series| series.name.as_str()).collect();
        for expected in [
            "http_server_request_duration_seconds_bucket",
            "orders_created_total",
            "orders_unfinished_age_seconds",
            "payment_gateway_available_ratio",
            "payment_gateway_rate_per_second",
            "db_client_connection_pending_requests",
        ] {
            assert!(names.contains(&expected), "{expected}: {names:?}");
        }
    }

    #[test]
    fn labels_are_attributes() {
        let failed = series().into_iter().find(|it| it.name == "orders_failed_total");
        assert_eq!(failed.unwrap().labels, ["order_failure_code"]);
    }
}
