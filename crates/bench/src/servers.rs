//! Counters of PostgreSQL and Redis, read before and after a load.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;
use testkit::{Postgres, Redis};
use tokio_postgres::Client;

use crate::process;

/// What the servers have done since they started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// Commits in the database of `sql`.
    pub(crate) commits: f64,
    pub(crate) wal_bytes: f64,
    /// CPU time of all of PostgreSQL's processes, in seconds.
    pub(crate) postgres_cpu: f64,
    /// In seconds.
    pub(crate) redis_cpu: f64,
    /// Calls of each Redis command.
    pub(crate) redis_commands: BTreeMap<String, f64>,
}

impl Counters {
    pub(crate) async fn read(postgres: &Postgres, sql: &Client, redis: &Redis) -> anyhow::Result<Self> {
        const COUNTERS: &str = "SELECT xact_commit::float8, (pg_current_wal_lsn() - '0/0')::float8 \
            FROM pg_stat_database WHERE datname = current_database()";
        let row = sql.query_one(COUNTERS, &[]).await?;
        let postgres_cpu = family_cpu_time(postgres.pid().context("PostgreSQL does not run")?)?;
        let redis_cpu = process::cpu_time(redis.pid().context("Redis does not run")?)?;
        Ok(Self {
            commits: row.get(0),
            wal_bytes: row.get(1),
            postgres_cpu: postgres_cpu.as_secs_f64(),
            redis_cpu: redis_cpu.as_secs_f64(),
            redis_commands: redis_commands(redis).await?,
        })
    }

    /// The increase since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let commands = self.redis_commands.iter().map(|(name, calls)| {
            let before = before.redis_commands.get(name).copied().unwrap_or_default();
            (name.clone(), calls - before)
        });
        Self {
            commits: self.commits - before.commits,
            wal_bytes: self.wal_bytes - before.wal_bytes,
            postgres_cpu: self.postgres_cpu - before.postgres_cpu,
            redis_cpu: self.redis_cpu - before.redis_cpu,
            redis_commands: commands.filter(|(_, calls)| *calls > 0.0).collect(),
        }
    }

    pub(crate) fn redis_calls(&self) -> f64 {
        self.redis_commands.values().sum()
    }

    /// The most frequent Redis commands, and how often each was called for one of `per`.
    pub(crate) fn most_frequent(&self, count: usize, per: f64) -> String {
        let mut commands: Vec<_> = self.redis_commands.iter().collect();
        commands.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let commands = commands.into_iter().take(count);
        let commands = commands.map(|(name, calls)| format!("{name} {:.2}", calls / per));
        commands.collect::<Vec<_>>().join(", ")
    }
}

/// Without those of this function. Commands of a script count too.
async fn redis_commands(redis: &Redis) -> anyhow::Result<BTreeMap<String, f64>> {
    let command = redis::cmd("INFO").arg("commandstats").to_owned();
    let text: String = command.query_async(&mut redis.connect().await?).await?;
    let mut commands = BTreeMap::new();
    for line in text.lines() {
        let Some((name, values)) = line
            .strip_prefix("cmdstat_")
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let calls = values
            .strip_prefix("calls=")
            .and_then(|rest| rest.split(',').next());
        if name != "info" {
            commands.insert(
                name.to_owned(),
                calls.context("commandstats without calls")?.parse()?,
            );
        }
    }
    Ok(commands)
}

/// CPU time of a process, of its children, and of those that have ended.
fn family_cpu_time(parent: i32) -> anyhow::Result<Duration> {
    let own = Stat::read(parent).context("the process has ended")?;
    let mut total = process::cpu_time(parent)? + own.ended_children;
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse() else {
            continue;
        };
        // A child that has ended meanwhile counts at the next reading.
        if Stat::read(pid).is_some_and(|stat| stat.parent == parent) {
            total += process::cpu_time(pid).unwrap_or_default();
        }
    }
    Ok(total)
}

/// A part of `/proc/<pid>/stat`.
struct Stat {
    parent: i32,
    /// CPU time of children that have ended.
    ended_children: Duration,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        /// USER_HZ is 100 a second on every Linux.
        const TICK_MILLISECONDS: u64 = 10;
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name, in parentheses, may contain blanks.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ended_children: Duration::from_millis((ticks(13)? + ticks(14)?) * TICK_MILLISECONDS),
        })
    }
}
