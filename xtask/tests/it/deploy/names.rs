//! The series that Prometheus has: those of the telemetry contract, of the collector, and of recording rules.

use std::collections::{BTreeMap, BTreeSet};

use e2e::contract;
use serde_json::Value;

use super::promql::names;
use super::{files, list, read, text, yaml};

const COLLECTOR: &str = "deploy/collector/observability.yaml";

/// Metrics of the collector's receivers `postgresql` and `redis`, version 0.160: name, unit, kind, labels.
/// `+` is a counter, `=` a gauge, `~` neither; `!` one that has to be enabled.
const RECEIVED: &[(&str, &str, &str, &[&str])] = &[
    ("postgresql.backends", "1", "~", &[]),
    ("postgresql.commits", "1", "+", &[]),
    ("postgresql.connection.max", "{connections}", "=", &[]),
    ("postgresql.db_size", "By", "~", &[]),
    ("postgresql.deadlocks", "{deadlock}", "+!", &[]),
    ("postgresql.rollbacks", "1", "+", &[]),
    ("postgresql.rows", "1", "~", &["state", "db_collection_name"]),
    ("redis.clients.connected", "{client}", "~", &[]),
    ("redis.commands.processed", "{command}", "+", &[]),
    ("redis.keys.evicted", "{key}", "+", &[]),
    ("redis.maxmemory", "By", "=!", &[]),
    ("redis.memory.used", "By", "=", &[]),
    ("redis.uptime", "s", "+", &[]),
];
/// The collector's own metrics, and those that Prometheus makes.
const OTHERS: &[(&str, &[&str])] = &[
    ("ALERTS", &["alertname", "alertstate", "severity"]),
    ("up", &[]),
    ("otelcol_exporter_enqueue_failed_spans_total", &["exporter"]),
    ("otelcol_exporter_queue_capacity", &["exporter"]),
    ("otelcol_exporter_queue_size", &["exporter"]),
    ("otelcol_exporter_send_failed_spans_total", &["exporter"]),
    ("otelcol_exporter_sent_spans_total", &["exporter"]),
    ("otelcol_receiver_accepted_spans_total", &["receiver"]),
    ("otelcol_receiver_refused_spans_total", &["receiver"]),
];
/// Labels of every series.
const TARGET: [&str; 2] = ["job", "instance"];

/// The labels of each series.
pub(super) struct Series(BTreeMap<String, BTreeSet<String>>);

impl Series {
    pub(super) fn known() -> Self {
        let collector = yaml(&read(COLLECTOR));
        let mut known = Self(BTreeMap::new());
        for series in contract::series() {
            known.add(series.name, series.labels);
        }
        for (name, unit, kind, labels) in RECEIVED {
            if kind.ends_with('!') {
                let receiver = name.split('.').next().unwrap();
                let setting = &collector["receivers"][receiver]["metrics"][name]["enabled"];
                assert_eq!(setting, &Value::Bool(true), "{COLLECTOR} does not enable {name}");
            }
            let name = contract::exported_name(name, unit, kind.starts_with('='));
            let suffix = if kind.starts_with('+') { "_total" } else { "" };
            known.add(format!("{name}{suffix}"), *labels);
        }
        for query in list(&collector["receivers"]["sqlquery/postgresql"]["queries"]) {
            for metric in list(&query["metrics"]) {
                let name = contract::exported_name(text(&metric["metric_name"]), text(&metric["unit"]), true);
                known.add(name, [""; 0]);
            }
        }
        for (name, labels) in OTHERS {
            known.add((*name).to_owned(), *labels);
        }
        for rule in rules() {
            if let Some(name) = rule["record"].as_str() {
                known.add(name.to_owned(), names(text(&rule["expr"])).grouping);
            }
        }
        known
    }

    fn add<L: ToString>(&mut self, name: String, labels: impl IntoIterator<Item = L>) {
        let labels = labels.into_iter().map(|label| label.to_string());
        let targets = TARGET.iter().map(|label| (*label).to_owned());
        self.0.insert(name, labels.chain(targets).collect());
    }

    /// Whether a series of the expression has the label.
    pub(super) fn may_have(&self, expression: &str, label: &str) -> bool {
        let selectors = names(expression).selectors;
        selectors.iter().any(|selector| {
            let labels = self.0.get(&selector.metric);
            labels.is_some_and(|labels| labels.contains(label))
        })
    }

    /// What an expression names that does not exist.
    pub(super) fn unknown(&self, expression: &str) -> Vec<String> {
        let names = names(expression);
        let mut unknown = Vec::new();
        let mut labels = BTreeSet::new();
        for selector in &names.selectors {
            match self.0.get(&selector.metric) {
                None => unknown.push(selector.metric.clone()),
                Some(has) => {
                    labels.extend(has);
                    let missing = selector.labels.iter().filter(|label| !has.contains(*label));
                    unknown.extend(missing.map(|label| format!("{}{{{label}}}", selector.metric)));
                }
            }
        }
        let groups = names.grouping.into_iter();
        unknown.extend(groups.filter(|label| !labels.contains(label)));
        unknown
    }
}

/// All rules, recording and alerting.
pub(super) fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for file in files("deploy/prometheus/rules", "yaml") {
        let content = yaml(&std::fs::read_to_string(file).unwrap());
        for group in list(&content["groups"]) {
            rules.extend(list(&group["rules"]).iter().cloned());
        }
    }
    rules
}

#[test]
fn no_rule_names_what_does_not_exist() {
    let known = Series::known();
    let mut found = Vec::new();
    for rule in rules() {
        let name = text(&rule["alert"]).to_owned() + text(&rule["record"]);
        let unknown = known.unknown(text(&rule["expr"]));
        found.extend(unknown.into_iter().map(|what| format!("{name}: {what}")));
        for label in labels_in_annotations(&rule) {
            let exists = known.may_have(text(&rule["expr"]), &label);
            assert!(exists, "{name}: $labels.{label}");
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn labels_in_annotations(rule: &Value) -> Vec<String> {
    let annotations = rule["annotations"].to_string();
    let labels = annotations.split("$labels.").skip(1);
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    labels
        .filter_map(|rest| rest.split(is_end).next().map(str::to_owned))
        .collect()
}

/// The table of docs/telemetry.md has a row for each metric of the contract, with all labels.
#[test]
fn the_documented_names_are_those_of_the_contract() {
    let page = read("docs/telemetry.md");
    let (_, section) = page.split_once("## In Prometheus\n").unwrap();
    let rows: Vec<BTreeSet<&str>> = section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('`').skip(3).step_by(2).collect())
        .collect();
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for series in contract::series() {
        let part = ["_bucket", "_sum", "_count"]
            .into_iter()
            .find(|part| series.name.ends_with(part));
        let is_histogram = series.labels.iter().any(|label| label == "le") || part.is_some();
        let part = part.filter(|_| is_histogram && series.name.contains("_seconds_"));
        let name = part.map_or(series.name.as_str(), |part| {
            series.name.strip_suffix(part).unwrap()
        });
        let row = expected.entry(name.to_owned()).or_default();
        row.insert(name.to_owned());
        row.extend(part.map(str::to_owned));
        row.extend(series.labels.into_iter().filter(|label| label != "le"));
    }
    let expected: BTreeSet<BTreeSet<String>> = expected.into_values().collect();
    let documented: BTreeSet<BTreeSet<String>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(str::to_owned).collect())
        .collect();
    assert_eq!(documented, expected);
}

/// Each has one name changed.
#[test]
fn a_name_that_does_not_exist_is_found() {
    let known = Series::known();
    for (expression, unknown) in [
        ("max(orders_unfinished_age) > 900", "orders_unfinished_age"),
        (
            "sum(rate(orders_failed_total{failure_code=\"other\"}[5m])) > 0",
            "orders_failed_total{failure_code}",
        ),
        ("sum by (reason) (rate(queue_reconciled_total[5m])) > 0", "reason"),
        ("payment_gateway_available == 0", "payment_gateway_available"),
        (
            "throughline:orders_waiting:max{queue_reason=\"paused\"} > 0",
            "throughline:orders_waiting:max{queue_reason}",
        ),
    ] {
        assert_eq!(known.unknown(expression), [unknown], "{expression}");
    }
}
