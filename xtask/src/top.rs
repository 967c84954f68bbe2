//! `top`: what the running stack does, live in the terminal: rates, backlog, failures, workers. Reads the
//! samples that the leader writes every 10 seconds, and what the workers report to Redis; it costs the
//! services nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls, Row};

use crate::state::State;

const INTERVAL: Duration = Duration::from_secs(2);
const REPORTS: &str = "orders:reports";
/// A worker reports every 5 seconds.
const LATE_SECONDS: i64 = 15;

/// The latest sample, and the failures of the last 15 minutes.
const LATEST: &str = "SELECT extract(epoch FROM now() - bucket)::float8 AS age, created, completed, cancelled, \
    (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(failed))::bigint AS failed, \
    p50::float8, p99::float8, waiting_for_gateway, waiting_for_backoff, waiting_for_dispatch, \
    oldest_age::float8, waiting_jobs, gateway_available \
    FROM order_samples ORDER BY bucket DESC LIMIT 1";
const FAILURES: &str = "SELECT key, sum(value::int)::bigint FROM order_samples, jsonb_each_text(failed) \
    WHERE bucket > now() - interval '15 min' GROUP BY key ORDER BY 2 DESC";
const PAUSED: &str = "SELECT paused_by FROM queue_state WHERE paused_at IS NOT NULL";
const UNFINISHED_OPERATIONS: &str =
    "SELECT kind, done, matched, actor FROM operations WHERE finished_at IS NULL ORDER BY id";

/// Show rates, backlog, failures and workers of the running stack, live
#[derive(clap::Args)]
pub(crate) struct Top {
    /// Print once, as plain lines; so does an output that is no terminal
    #[arg(long)]
    once: bool,
}

/// What a worker reports.
#[derive(Deserialize)]
struct Worker {
    version: String,
    concurrency: u64,
    busy: u64,
    processed: u64,
    gateway_available: Option<bool>,
    is_leader: bool,
}

impl Top {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let Some(state) = State::running()? else {
            bail!("no stack runs: start one with `cargo xtask up`");
        };
        let (postgres, connection) = tokio_postgres::connect(&state.database_url, NoTls).await?;
        tokio::spawn(connection);
        let redis = redis::Client::open(state.redis_url)?;
        let live = !self.once && std::io::stdout().is_terminal();
        let style = Style::of(live);
        loop {
            let text = page(&postgres, &redis, &style).await?;
            let mut out = std::io::stdout().lock();
            if !live {
                out.write_all(text.as_bytes())?;
                return Ok(ExitCode::SUCCESS);
            }
            // To the first line and column; then everything below is deleted.
            write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))?;
            out.flush()?;
            drop(out);
            sleep(INTERVAL).await;
        }
    }
}

/// Escape sequences; none where colours are off.
struct Style {
    bold: &'static str,
    red: &'static str,
    reset: &'static str,
}

impl Style {
    /// Without colours if NO_COLOR is set (no-color.org).
    fn of(terminal: bool) -> Self {
        if terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
            Self {
                bold: "\x1b[1m",
                red: "\x1b[31m",
                reset: "\x1b[0m",
            }
        } else {
            Self {
                bold: "",
                red: "",
                reset: "",
            }
        }
    }

    fn title(&self, text: &str) -> String {
        format!("{}{text:<10}{}", self.bold, self.reset)
    }

    fn alarm(&self, text: &str) -> String {
        format!("{}{text}{}", self.red, self.reset)
    }
}

async fn page(postgres: &Client, redis: &redis::Client, style: &Style) -> anyhow::Result<String> {
    let mut text = String::new();
    if let Some(row) = postgres.query_opt(PAUSED, &[]).await? {
        let by: Option<String> = row.get(0);
        let paused = format!("paused by {}", by.unwrap_or_default());
        writeln!(text, "{}{}", style.title("queue"), style.alarm(&paused))?;
    }
    match postgres.query_opt(LATEST, &[]).await? {
        Some(sample) => text += &latest(&sample, style)?,
        None => writeln!(
            text,
            "{}none yet: the first follows within 15 seconds",
            style.title("samples")
        )?,
    }
    let failures: Vec<String> = postgres
        .query(FAILURES, &[])
        .await?
        .iter()
        .map(|row| format!("{} {}", row.get::<_, String>(0), row.get::<_, i64>(1)))
        .collect();
    let failures = if failures.is_empty() {
        "none".to_owned()
    } else {
        failures.join("  ")
    };
    writeln!(text, "{}{failures} (15 minutes)", style.title("failures"))?;
    for row in postgres.query(UNFINISHED_OPERATIONS, &[]).await? {
        let (kind, done, matched): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let actor: String = row.get(3);
        writeln!(
            text,
            "{}{kind} {done} of {matched}, {actor}",
            style.title("operation")
        )?;
    }
    text += &workers(redis, style).await?;
    Ok(text)
}

fn latest(sample: &Row, style: &Style) -> anyhow::Result<String> {
    let rate = |name: &str| f64::from(sample.get::<_, i32>(name)) / 10.0;
    let count = |name: &str| {
        sample
            .get::<_, Option<i64>>(name)
            .map_or_else(|| "?".to_owned(), |n| n.to_string())
    };
    let seconds = |name: &str| {
        let seconds: Option<f64> = sample.get(name);
        seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"))
    };
    let failed = f64::from(i32::try_from(sample.get::<_, i64>("failed")).unwrap_or(i32::MAX)) / 10.0;
    let gateway = match sample.get::<_, Option<bool>>("gateway_available") {
        Some(true) => "available".to_owned(),
        Some(false) => style.alarm("unavailable"),
        None => "unknown".to_owned(),
    };
    let mut text = String::new();
    writeln!(
        text,
        "{}created {:.1}  completed {:.1}  failed {failed:.1}  cancelled {:.1}",
        style.title("orders/s"),
        rate("created"),
        rate("completed"),
        rate("cancelled"),
    )?;
    writeln!(
        text,
        "{}p50 {}  p99 {}  (created to final, {:.0} s ago)",
        style.title("duration"),
        seconds("p50"),
        seconds("p99"),
        sample.get::<_, f64>("age"),
    )?;
    writeln!(
        text,
        "{}gateway {}  backoff {}  dispatch {}  jobs {}  oldest {}",
        style.title("waiting"),
        count("waiting_for_gateway"),
        count("waiting_for_backoff"),
        count("waiting_for_dispatch"),
        count("waiting_jobs"),
        seconds("oldest_age"),
    )?;
    writeln!(text, "{}{gateway}", style.title("gateway"))?;
    Ok(text)
}

async fn workers(redis: &redis::Client, style: &Style) -> anyhow::Result<String> {
    let mut connection = redis.get_multiplexed_async_connection().await?;
    let mut pipeline = redis::pipe();
    pipeline.cmd("HGETALL").arg(REPORTS).cmd("TIME");
    let (reports, (now, _)): (BTreeMap<String, String>, (i64, i64)) =
        pipeline.query_async(&mut connection).await.context("Redis")?;
    let mut text = String::new();
    for (name, report) in &reports {
        let Some((at, worker)) = parse(report) else {
            continue;
        };
        let leader = if worker.is_leader { "  leader" } else { "" };
        let breaker = if worker.gateway_available == Some(false) {
            "  gateway unavailable"
        } else {
            ""
        };
        let age = now - at;
        let late = if age > LATE_SECONDS {
            format!("  not seen for {age} s")
        } else {
            String::new()
        };
        writeln!(
            text,
            "{}{name}  {}  busy {} of {}  processed {}{leader}{}",
            style.title("worker"),
            worker.version,
            worker.busy,
            worker.concurrency,
            worker.processed,
            style.alarm(&(late + breaker)),
        )?;
    }
    Ok(text)
}

/// The time of a report, in seconds since 1970, and the report.
fn parse(report: &str) -> Option<(i64, Worker)> {
    let (at, json) = report.split_once(' ')?;
    Some((at.parse().ok()?, serde_json::from_str(json).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_its_time_and_one_of_another_version_is_left_out() {
        let report = r#"1700000000 {"version":"1","started_at":"x","concurrency":64,"busy":2,"processed":7,
            "gateway_available":null,"gateway_since":null,"is_leader":true}"#;
        let (at, worker) = parse(report).unwrap();
        assert_eq!((at, worker.busy, worker.is_leader), (1_700_000_000, 2, true));
        for other in ["", "x", "1 {}", "x {}"] {
            assert!(parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn plain_lines_have_no_escape_sequences() {
        let style = Style::of(false);
        assert_eq!(style.title("a") + &style.alarm("b"), "a         b");
    }
}
