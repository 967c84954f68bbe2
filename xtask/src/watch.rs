//! Prints the transitions of an order as they are recorded.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Local, TimeDelta, Utc};
use reqwest::Client;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::api;

/// Longer than all attempts of an order with the default settings.
const WATCH_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct History {
    data: Vec<Transition>,
}

#[derive(Deserialize)]
struct Transition {
    at: DateTime<Utc>,
    to: String,
    attempt: i32,
    actor: String,
    reason: Option<String>,
}

/// Prints each transition of the order, with the time since the one before, until its status is final.
pub(crate) async fn watch(client: &Client, order: &str) -> anyhow::Result<()> {
    let end = Instant::now() + WATCH_TIMEOUT;
    let is_colored =
        std::io::stderr().is_terminal() && !std::env::var("NO_COLOR").is_ok_and(|no| !no.is_empty());
    let mut printed = 0;
    let mut pause = Duration::from_millis(10);
    loop {
        let history = api::json(client.get(format!("{order}/history"))).await?;
        let history: History = serde_json::from_value(history)?;
        let mut before = None;
        for (number, transition) in history.data.iter().enumerate() {
            if number >= printed {
                eprintln!("{}", line(transition, before, is_colored));
            }
            before = Some(transition.at);
        }
        printed = history.data.len();
        let status = &history.data.last().context("the history is empty")?.to;
        if matches!(status.as_str(), "completed" | "failed" | "cancelled") {
            return Ok(());
        }
        if Instant::now() >= end {
            bail!("the order is still {status} after {WATCH_TIMEOUT:?}: see the logs in .local/logs");
        }
        // Each request makes a trace, so the interval grows.
        pause = (pause * 2).min(Duration::from_secs(1));
        sleep(pause).await;
    }
}

fn line(transition: &Transition, before: Option<DateTime<Utc>>, is_colored: bool) -> String {
    let time = transition.at.with_timezone(&Local).format("%H:%M:%S%.3f");
    let elapsed = before.map_or_else(String::new, |before| short(transition.at - before));
    let (color, plain) = if is_colored {
        (color(&transition.to), "\x1b[0m")
    } else {
        ("", "")
    };
    let attempt = match transition.attempt {
        0 => String::new(),
        number => format!("attempt {number}"),
    };
    let reason = transition.reason.as_deref().unwrap_or_default();
    let line = format!(
        "{time} {elapsed:>10}  {color}{:<10}{plain}  {attempt:<10}  {}  {reason}",
        transition.to, transition.actor
    );
    line.trim_end().to_owned()
}

fn color(status: &str) -> &'static str {
    match status {
        "completed" => "\x1b[32m",
        "failed" => "\x1b[31m",
        "cancelled" => "\x1b[33m",
        "processing" => "\x1b[36m",
        _ => "",
    }
}

/// The time between two transitions, such as `+12.3 ms` or `+5.2 s`.
fn short(elapsed: TimeDelta) -> String {
    let elapsed = elapsed.to_std().unwrap_or_default();
    if elapsed < Duration::from_secs(1) {
        format!("+{:.1} ms", elapsed.as_secs_f64() * 1000.0)
    } else {
        format!("+{:.1} s", elapsed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_time_since_the_transition_before_and_the_reason() {
        let json = r#"{"at":"2026-11-27T09:00:00.250000Z","from":"processing","to":"failed","attempt":2,
            "actor":"worker:w","reason":"card_declined","trace_id":null}"#;
        let transition: Transition = serde_json::from_str(json).unwrap();
        let text = |before: &str, is_colored| line(&transition, Some(before.parse().unwrap()), is_colored);
        let plain = text("2026-11-27T09:00:00.237700Z", false);
        let expected = "   +12.3 ms  failed      attempt 2   worker:w  card_declined";
        assert!(plain.ends_with(expected), "{plain}");
        let colored = text("2026-11-27T08:59:00Z", true);
        assert!(
            colored.contains("+60.2 s  \u{1b}[31mfailed    \u{1b}[0m  attempt 2"),
            "{colored:?}"
        );
    }
}
