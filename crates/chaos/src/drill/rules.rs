//! The rules of deploy/prometheus with all durations divided by [`FACTOR`], and a configuration that
//! scrapes lens as if it were the collector.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Seconds of the rules in one second of a drill.
pub(super) const FACTOR: u32 = 60;
/// Prometheus' default of five minutes.
pub(super) const LOOKBACK: Duration = Duration::from_secs(5);
const FOLDER: &str = "deploy/prometheus/rules";
const FILES: [&str; 2] = ["alerts.yaml", "slo.yaml"];
/// Four times that of deploy/prometheus: a busy machine responds late.
const SCRAPE_INTERVAL: &str = "60s";
/// `metric_expiration` of deploy/collector, in seconds.
const EXPIRATION: u32 = 150;
/// Ages that are compared with durations. They count [`FACTOR`] times.
const AGES: [&str; 3] = [
    "max(orders_unfinished_age_seconds)",
    "max(queue_oldest_age_seconds)",
    "max(postgresql_snapshot_age_seconds)",
];
/// Alerts of these windows take 24 minutes of a drill and more.
const TOO_LONG: [&str; 2] = ["1d", "3d"];
const DOCTORED: &str = "doctored";

/// A copy of an alert with one text of its rule replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doctored {
    /// The alert's name.
    pub alert: &'static str,
    /// A text of the rule's expression or of its `for`.
    pub from: &'static str,
    /// What replaces it.
    pub to: &'static str,
}

impl Doctored {
    pub(super) fn name(&self) -> String {
        format!("{DOCTORED}_{}", self.alert)
    }
}

pub(super) fn is_doctored(alert: &str) -> bool {
    alert.starts_with(DOCTORED)
}

/// The files for Prometheus: its configuration and the rules. JSON is YAML.
pub(super) fn files(lens: &str, doctored: &[Doctored]) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut files = vec![("prometheus.yml", configuration(lens)?)];
    for file in FILES {
        let mut rules = read(file)?;
        for group in items_mut(&mut rules, "/groups")? {
            scale_group(group, doctored)?;
        }
        files.push((file, rules.to_string()));
    }
    Ok(files)
}

/// The scaled `for` of each alert; of one with several windows, the shortest.
pub(super) fn waits() -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut waits = BTreeMap::new();
    for file in FILES {
        for group in items_mut(&mut read(file)?, "/groups")? {
            for rule in items_mut(group, "/rules")? {
                let Some(alert) = rule.get("alert").map(text) else {
                    continue;
                };
                let wait = rule.get("for").map_or("0s", text);
                let wait = Duration::from_millis(scaled_milliseconds(wait)?);
                let shortest = waits.entry(alert.to_owned()).or_insert(wait);
                *shortest = wait.min(*shortest);
            }
        }
    }
    Ok(waits)
}

fn read(file: &str) -> anyhow::Result<Value> {
    let path = testkit::workspace().join(FOLDER).join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))
}

fn configuration(lens: &str) -> anyhow::Result<String> {
    let target = lens.strip_prefix("http://").context("lens has an HTTP URL")?;
    let targets = json!([{ "targets": [target] }]);
    let max_age = f64::from(EXPIRATION) / f64::from(FACTOR);
    let configuration = json!({
        "global": {
            "scrape_interval": scaled(SCRAPE_INTERVAL)?,
            "scrape_timeout": scaled(SCRAPE_INTERVAL)?,
            "evaluation_interval": scaled("30s")?,
            "external_labels": { "runbooks": "docs/runbooks" },
        },
        "rule_files": FILES,
        "scrape_configs": [
            {
                "job_name": "throughline",
                "honor_labels": true,
                "params": { "max_age": [max_age.to_string()] },
                "static_configs": targets,
            },
            // The collector's own metrics: lens has none.
            {
                "job_name": "otel-collector",
                "static_configs": targets,
                "metric_relabel_configs": [{ "action": "drop", "source_labels": ["__name__"], "regex": ".+" }],
            },
        ],
    });
    Ok(configuration.to_string())
}

fn scale_group(group: &mut Value, doctored: &[Doctored]) -> anyhow::Result<()> {
    if let Some(interval) = group.get_mut("interval") {
        *interval = scaled(text(interval))?.into();
    }
    let rules = group.get_mut("rules").and_then(Value::as_array_mut);
    let rules = rules.context("a group without rules")?;
    rules.retain(|rule| {
        let window = rule.pointer("/labels/window").map_or("", text);
        !TOO_LONG.contains(&window)
    });
    let mut copies = Vec::new();
    for copy in doctored {
        let of_alert = |rule: &&Value| rule.get("alert").map(text) == Some(copy.alert);
        for rule in rules.iter().filter(of_alert) {
            copies.push(doctor(rule, copy)?);
        }
    }
    rules.extend(copies);
    for rule in rules {
        for field in ["for", "expr"] {
            let Some(value) = rule.get_mut(field) else {
                continue;
            };
            *value = if field == "for" {
                scaled(text(value))?
            } else {
                scale_expression(text(value))?
            }
            .into();
        }
    }
    Ok(())
}

fn doctor(rule: &Value, copy: &Doctored) -> anyhow::Result<Value> {
    let mut broken = rule.clone();
    let mut replaced = 0;
    for field in ["expr", "for"] {
        if let Some(value) = broken.get_mut(field)
            && text(value).contains(copy.from)
        {
            *value = text(value).replacen(copy.from, copy.to, 1).into();
            replaced += 1;
        }
    }
    ensure!(replaced == 1, "{} has no {}", copy.alert, copy.from);
    if let Some(name) = broken.get_mut("alert") {
        *name = copy.name().into();
    }
    Ok(broken)
}

/// Ranges, offsets and ages of an expression.
fn scale_expression(expression: &str) -> anyhow::Result<String> {
    let mut pieces = expression.split('[');
    let mut scaled_ranges = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (range, rest) = piece.split_once(']').context("a range without an end")?;
        scaled_ranges += &format!("[{}]{rest}", scaled(range)?);
    }
    let mut pieces = scaled_ranges.split("offset ");
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(piece.len());
        let (offset, rest) = piece.split_at(end);
        result += &format!("offset {}{rest}", scaled(offset)?);
    }
    for age in AGES {
        result = result.replace(age, &format!("{FACTOR} * {age}"));
    }
    Ok(result)
}

/// A duration of Prometheus, divided by the factor.
fn scaled(duration: &str) -> anyhow::Result<String> {
    Ok(format!("{}ms", scaled_milliseconds(duration)?))
}

/// Takes durations with one unit.
fn scaled_milliseconds(duration: &str) -> anyhow::Result<u64> {
    let at = duration
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(duration.len());
    let (number, unit) = duration.split_at(at);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => anyhow::bail!("not a duration: {duration}"),
    };
    Ok(number.parse::<u64>()? * seconds * 1000 / u64::from(FACTOR))
}

fn items_mut<'a>(value: &'a mut Value, pointer: &str) -> anyhow::Result<&'a mut Vec<Value>> {
    let items = value.pointer_mut(pointer).and_then(Value::as_array_mut);
    items.with_context(|| format!("no list {pointer}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_offsets_and_ages_are_scaled_and_names_are_not() {
        let scaled = scale_expression(
            "a:increase10m unless x offset 10m and max(queue_oldest_age_seconds) > 300 + rate(y[5m]) ",
        );
        assert_eq!(
            scaled.unwrap(),
            "a:increase10m unless x offset 10000ms and 60 * max(queue_oldest_age_seconds) > 300 + rate(y[5000ms]) "
        );
    }

    #[test]
    fn every_rule_can_be_scaled_and_no_comparison_with_an_age_is_left_out() {
        let files = files("http://127.0.0.1:1", &[]).unwrap();
        assert_eq!(files.len(), 3);
        for (name, content) in files {
            for unscaled in ["[5m]", "offset 10m", "\"2m\""] {
                assert!(!content.contains(unscaled), "{name}: {unscaled}");
            }
            let present = content.replace("absent(postgresql_snapshot_age_seconds)", "");
            let ages = present.matches("_age_seconds)").count();
            let scaled = content.matches(&format!("{FACTOR} * max(")).count();
            assert_eq!(ages, scaled, "{name}");
        }
    }

    #[test]
    fn a_text_that_a_rule_lacks_is_an_error() {
        let copy = Doctored {
            alert: "OrderStuck",
            from: "nothing of it",
            to: "",
        };
        assert!(files("http://127.0.0.1:1", &[copy]).is_err());
    }
}
