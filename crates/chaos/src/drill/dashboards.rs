//! The queries of the dashboards, and which of them had data during a drill.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::Value;

use super::query;
use super::rules::FACTOR;

const FOLDER: &str = "deploy/grafana/dashboards";
/// Grafana's `$__rate_interval` is four times the interval of scrapes, here of exports.
const RATE_INTERVAL: &str = "5s";

/// Whether each query had data, by dashboard, panel and query.
pub(super) type Panels = BTreeMap<(String, String, String), bool>;

/// Runs every query over the time of this Prometheus.
pub(super) async fn read(
    http: &reqwest::Client,
    prometheus: &str,
    panels: &mut Panels,
) -> anyhow::Result<()> {
    for (board, panel, query) in queries()? {
        let has_data = has_data(http, prometheus, &query)
            .await
            .with_context(|| format!("{board}: {panel}: {query}"))?;
        *panels.entry((board, panel, query)).or_default() |= has_data;
    }
    Ok(())
}

fn queries() -> anyhow::Result<Vec<(String, String, String)>> {
    let mut queries = Vec::new();
    for entry in std::fs::read_dir(testkit::workspace().join(FOLDER))? {
        let board: Value = serde_json::from_str(&std::fs::read_to_string(entry?.path())?)?;
        let text = |value: &Value, name| {
            value
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        for panel in items(&board, "panels") {
            for target in items(panel, "targets") {
                queries.push((text(&board, "uid"), text(panel, "title"), text(target, "expr")));
            }
        }
    }
    Ok(queries)
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

async fn has_data(http: &reqwest::Client, prometheus: &str, expression: &str) -> anyhow::Result<bool> {
    let query = expression.replace("$__rate_interval", RATE_INTERVAL);
    let end = chrono::Utc::now();
    let start = end - chrono::TimeDelta::seconds(i64::from(FACTOR) * 10);
    let [start, end] = [start, end].map(|time| time.timestamp().to_string());
    let parameters = [
        ("query", &*query),
        ("start", &*start),
        ("end", &*end),
        ("step", "1"),
    ];
    let series = query::series(http, prometheus, "query_range", &parameters).await?;
    let is_number = |sample: &Value| {
        sample
            .get(1)
            .and_then(Value::as_str)
            .is_some_and(|value| value != "NaN")
    };
    Ok(series.iter().any(|series| items(series, "values").any(is_number)))
}
