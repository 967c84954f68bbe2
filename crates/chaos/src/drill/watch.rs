//! Reads from Prometheus which alerts fire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::query;

pub(super) const INTERVAL: Duration = Duration::from_millis(250);
const START_TIMEOUT: Duration = Duration::from_secs(60);
const READS: &str = "up{job=\"throughline\"} == 1";
const FIRING: &str = "ALERTS{alertstate=\"firing\"}";

/// When an alert was seen first and last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) is_firing: bool,
}

pub(super) struct Watch {
    http: reqwest::Client,
    prometheus: String,
    ticks: tokio::time::Interval,
    seen: BTreeMap<String, Seen>,
    /// What has fired without a pause since the last step.
    left_over: BTreeSet<String>,
}

impl Watch {
    pub(super) fn new(http: &reqwest::Client, prometheus: &str) -> Self {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            http: http.clone(),
            prometheus: prometheus.to_owned(),
            ticks,
            seen: BTreeMap::new(),
            left_over: BTreeSet::new(),
        }
    }

    /// Waits until Prometheus has read lens, and no alert fires. It finds its targets up to five seconds
    /// after its start, which are minutes of the rules.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + START_TIMEOUT;
        loop {
            self.look().await?;
            let reads = query::series(&self.http, &self.prometheus, "query", &[("query", READS)]).await?;
            if !reads.is_empty() && self.is_quiet(&[]) {
                self.seen.clear();
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "alerts fire without a fault: {:?}",
                self.seen.keys()
            );
        }
    }

    /// Waits for the next look, and looks. It may be dropped.
    pub(super) async fn look(&mut self) -> anyhow::Result<()> {
        self.ticks.tick().await;
        let firing = query::series(&self.http, &self.prometheus, "query", &[("query", FIRING)]).await?;
        let now = Instant::now();
        for seen in self.seen.values_mut() {
            seen.is_firing = false;
        }
        let name = |series: &Value| {
            let name = series.pointer("/metric/alertname").and_then(Value::as_str);
            name.map(str::to_owned).context("an alert without a name")
        };
        let firing: BTreeSet<String> = firing.iter().map(name).collect::<anyhow::Result<_>>()?;
        self.left_over.retain(|name| firing.contains(name));
        for name in firing {
            if self.left_over.contains(&name) {
                continue;
            }
            let seen = self.seen.entry(name).or_insert(Seen {
                first: now,
                last: now,
                is_firing: true,
            });
            seen.last = now;
            seen.is_firing = true;
        }
        Ok(())
    }

    pub(super) fn has_seen(&self, alert: &str) -> bool {
        self.seen.contains_key(alert)
    }

    /// Whether no real rule of these fires; of all, if there are none.
    pub(super) fn is_quiet(&self, alerts: &[&str]) -> bool {
        let counts =
            |name: &str| !super::rules::is_doctored(name) && (alerts.is_empty() || alerts.contains(&name));
        self.seen
            .iter()
            .all(|(name, seen)| !(counts(name) && seen.is_firing))
    }

    /// Everything seen since the last call.
    pub(super) fn take(&mut self) -> BTreeMap<String, Seen> {
        let firing = self.seen.iter().filter(|(_, seen)| seen.is_firing);
        self.left_over.extend(firing.map(|(name, _)| name.clone()));
        std::mem::take(&mut self.seen)
    }
}
