//! `traces` and `logs`: what lens finds, for a terminal or as JSON.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use lens::printable;
use reqwest::Url;
use serde_json::Value;

use crate::api;

const MAX_SERVICE: usize = 24;

/// List traces, newest first: cargo xtask traces 'http.route=/api/orders error'
#[derive(clap::Args)]
pub(crate) struct Traces {
    #[command(flatten)]
    search: Search,
}

/// List log records, newest last: cargo xtask logs 'level>=warn declined'
#[derive(clap::Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    search: Search,
}

#[derive(clap::Args)]
struct Search {
    /// Words that must all match: key=value, key>number, a text, service=, error, duration>10ms, level>=warn
    words: Vec<String>,
    /// Only what began this long ago or later: 30s, 5m, 1h
    #[arg(long)]
    last: Option<String>,
    /// The most results
    #[arg(long, default_value_t = 20)]
    limit: u16,
    /// Where the previous list ended
    #[arg(long)]
    after: Option<String>,
    /// Print the response of lens
    #[arg(long)]
    json: bool,
}

impl Traces {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.search
            .print("traces", |traces| traces.iter().map(trace_line).collect())
            .await
    }
}

impl Logs {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        self.search
            .print("logs", |logs| logs.iter().rev().map(log_line).collect())
            .await
    }
}

impl Search {
    async fn print(self, list: &str, lines: impl Fn(&[Value]) -> Vec<String>) -> anyhow::Result<ExitCode> {
        let mut url: Url = format!("{}/api/{list}", api::lens_url()?).parse()?;
        url.query_pairs_mut()
            .append_pair("q", &self.words.join(" "))
            .append_pair("limit", &self.limit.to_string())
            .extend_pairs(self.last.map(|last| ("last", last)))
            .extend_pairs(self.after.map(|after| ("after", after)));
        let page = api::json(api::client()?.get(url)).await?;
        if self.json {
            println!("{page:#}");
            return Ok(ExitCode::SUCCESS);
        }
        let found = page
            .get("data")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for line in lines(found) {
            println!("{}", printable(line.trim_end()));
        }
        if found.is_empty() {
            eprintln!("lens has no {list} that match");
        }
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            eprintln!("older ones: --after {next}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn trace_line(trace: &Value) -> String {
    let number = |field| trace.get(field).and_then(Value::as_u64).unwrap_or_default();
    let milliseconds = trace
        .get("duration_ms")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    let errors = match number("errors") {
        0 => String::new(),
        1 => "1 error".to_owned(),
        errors => format!("{errors} errors"),
    };
    let services = trace
        .get("services")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let services: Vec<&str> = services.filter_map(Value::as_str).collect();
    let keys = trace.get("keys").and_then(Value::as_object).into_iter().flatten();
    let keys: Vec<String> = keys
        .map(|(key, value)| format!("{key}={}", plain(value)))
        .collect();
    format!(
        "{}  {}  {:>10}  {:>4} spans  {errors:<9}  {}  {}  {}",
        text(trace, "trace_id"),
        time(trace, "start"),
        duration(Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()),
        number("spans"),
        text(trace, "root_name"),
        services.join(","),
        keys.join(" "),
    )
}

fn log_line(log: &Value) -> String {
    let attributes = log
        .get("attributes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let attributes: Vec<String> = attributes
        .map(|(key, value)| format!("{key}={}", plain(value)))
        .collect();
    let body = log.get("body").map(plain).unwrap_or_default();
    format!(
        "{}  {:<5}  {:<MAX_SERVICE$}  {body}  {}  {}",
        time(log, "time"),
        text(log, "severity"),
        text(log, "service"),
        attributes.join(" "),
        text(log, "trace_id"),
    )
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A string without quotation marks, another value as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// In the local time zone.
fn time(item: &Value, field: &str) -> String {
    let time: Option<DateTime<Utc>> = text(item, field).parse().ok();
    let local = time.map(|time| time.with_timezone(&Local).format("%H:%M:%S%.3f").to_string());
    local.unwrap_or_default()
}

fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.2} ms", duration.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trace_is_one_line() {
        let trace = json!({
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "root_name": "POST /api/orders",
            "services": ["api", "worker"],
            "start": "not a time",
            "duration_ms": 48.13,
            "spans": 11,
            "errors": 1,
            "keys": { "order.id": "o-1" },
        });
        assert_eq!(
            trace_line(&trace),
            "0af7651916cd43dd8448eb211c80319c      48.13 ms    11 spans  1 error    POST /api/orders  api,worker  order.id=o-1"
        );
    }

    #[test]
    fn a_log_record_is_one_line_and_moves_no_cursor() {
        let log = json!({
            "severity": "WARN",
            "service": "worker",
            "body": "declined\n\u{1b}[2J",
            "attributes": { "attempt": 2 },
            "trace_id": null,
        });
        let line = printable(log_line(&log).trim());
        assert_eq!(
            line,
            "WARN   worker                    declined\u{fffd}\u{fffd}[2J  attempt=2"
        );
    }
}
