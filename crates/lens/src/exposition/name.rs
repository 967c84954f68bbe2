//! Names of metrics and labels in Prometheus, by OpenTelemetry's compatibility specification.

use crate::metric::{Metric, MetricKind};

/// Units in UCUM, and what Prometheus calls them.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];

/// Units behind a slash: `By/s` is `bytes_per_second`.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name with the suffixes of its unit and its kind, but not those of a histogram's series.
pub(super) fn exported_name(metric: &Metric) -> String {
    let mut words: Vec<String> = words(&metric.name);
    let (unit, per) = metric.unit.split_once('/').unwrap_or((&metric.unit, ""));
    let unit = of_table(UNITS, unit.trim());
    let per = of_table(PER_UNITS, per.trim());
    add_unless_present(&mut words, &unit);
    if !per.is_empty() && !words.contains(&per) {
        words.extend(["per".to_owned(), per]);
    }
    if metric.kind == MetricKind::Sum && metric.monotonic {
        words.retain(|word| word != "total");
        words.push("total".to_owned());
    }
    if metric.kind == MetricKind::Gauge && metric.unit == "1" {
        words.retain(|word| word != "ratio");
        words.push("ratio".to_owned());
    }
    let name = words.join("_");
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => name,
        _ => format!("_{name}"),
    }
}

/// Every character that Prometheus does not permit becomes an underscore.
pub(super) fn label_name(key: &str) -> String {
    let permitted = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = key.chars().map(permitted).collect();
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("key_{name}"),
        Some('_') => format!("key{name}"),
        Some(_) => name,
        None => "_".to_owned(),
    }
}

fn words(name: &str) -> Vec<String> {
    let is_separator = |c: char| !c.is_ascii_alphanumeric() && c != ':';
    let words = name.split(is_separator).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// What the table says; an unknown unit as it is. A unit in braces is an annotation, and left out.
fn of_table(table: &[(&str, &str)], unit: &str) -> String {
    if unit.contains(['{', '}']) {
        return String::new();
    }
    let known = table.iter().find(|(ucum, _)| *ucum == unit);
    known.map_or_else(|| words(unit).join("_"), |(_, name)| (*name).to_owned())
}

fn add_unless_present(words: &mut Vec<String>, word: &str) {
    if !word.is_empty() && !words.iter().any(|it| it == word) {
        words.push(word.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::metric;

    fn name(name: &str, unit: &str, kind: MetricKind, monotonic: bool) -> String {
        exported_name(&Metric {
            unit: unit.to_owned(),
            monotonic,
            ..metric(name, kind)
        })
    }

    #[test]
    fn names_end_with_unit_and_kind() {
        use MetricKind::{Gauge, Histogram, Sum};
        for (got, expected) in [
            (
                name("http.server.request.duration", "s", Histogram, false),
                "http_server_request_duration_seconds",
            ),
            (
                name("orders.created", "{order}", Sum, true),
                "orders_created_total",
            ),
            (name("jobs.total", "", Sum, true), "jobs_total"),
            (name("pool.size", "{connection}", Sum, false), "pool_size"),
            (
                name("gateway.available", "1", Gauge, false),
                "gateway_available_ratio",
            ),
            (
                name("gateway.rate", "{request}/s", Gauge, false),
                "gateway_rate_per_second",
            ),
            (name("disk.io", "By/s", Gauge, false), "disk_io_bytes_per_second"),
            (name("memory.bytes", "By", Gauge, false), "memory_bytes"),
            (name("2xx", "", Gauge, false), "_2xx"),
            (name("über\"{}\n", "", Gauge, false), "ber"),
            (name("", "", Gauge, false), "_"),
        ] {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn labels_have_permitted_names() {
        for (key, expected) in [
            ("http.route", "http_route"),
            ("9lives", "key_9lives"),
            ("_hidden", "key_hidden"),
            ("__name__", "key__name__"),
            ("a\"} 1\n", "a___1_"),
            ("", "_"),
        ] {
            assert_eq!(label_name(key), expected);
        }
    }
}
