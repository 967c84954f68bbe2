//! The faults of a drill, and the alerts that each must and may fire.

use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use testkit::{Service, Stack};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::deployment::Deployment;
use crate::fault::Fault;

/// A fault, how long it lasts, and what it fires.
#[derive(Debug, Clone)]
pub struct Step {
    /// What happens.
    pub fault: Drilled,
    /// How long it lasts, for faults that last.
    pub lasts: Duration,
    /// Alerts that must fire.
    pub alerts: &'static [&'static str],
    /// Alerts that may fire too: what the fault does to orders depends on the moment.
    pub may: &'static [&'static str],
}

/// A fault of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drilled {
    /// A fault of chaos.
    Chaos(Fault),
    /// All workers are stopped, and started again.
    WorkersStopped,
    /// All apis are stopped, and started again.
    ApisStopped,
    /// PostgreSQL is shut down, and started again.
    PostgresStopped,
    /// A transaction holds a snapshot.
    SnapshotHeld,
    /// A column is renamed, as if a version ran on a schema that it does not fit.
    ColumnRenamed,
}

/// Orders that waited for the fault's end are late.
const LATE: &str = "OrdersLatencyBudgetBurn";
const FAILS: &str = "OrdersAvailabilityBudgetBurn";
const GATEWAY: &str = "PaymentGatewayUnavailable";
const ONE: &str = "PaymentGatewayUnavailableForOne";
/// Requests are answered 503, and orders that exist wait.
const OF_POSTGRES: &[&str] = &[
    LATE,
    FAILS,
    "ApiOverloaded",
    "PostgresPoolExhausted",
    "ReconcilerMissing",
    "StoreMetricsMissing",
    "WorkersDie",
];

impl Step {
    /// Every fault of chaos, and those that only a drill has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let of_chaos = Fault::ALL.into_iter().map(Drilled::Chaos);
        let others = [
            Drilled::WorkersStopped,
            Drilled::ApisStopped,
            Drilled::PostgresStopped,
            Drilled::SnapshotHeld,
            Drilled::ColumnRenamed,
        ];
        of_chaos.chain(others).map(Self::of).collect()
    }

    pub(super) fn short() -> Vec<Self> {
        let faults = [
            Drilled::Chaos(Fault::GatewayRefuses),
            Drilled::ColumnRenamed,
            Drilled::PostgresStopped,
        ];
        faults.map(Self::of).into()
    }

    /// The step of a fault.
    #[must_use]
    pub fn of(fault: Drilled) -> Self {
        let (seconds, alerts, may): (u64, &[&str], &[&str]) = match fault {
            Drilled::Chaos(fault) => of_chaos(fault),
            Drilled::WorkersStopped => (10, &["WorkersMissing"], &[LATE, "QueueLags", "ReconcilerMissing"]),
            Drilled::ApisStopped => (10, &["ApiMissing"], &[]),
            Drilled::PostgresStopped => (10, &["PostgresUnavailable"], OF_POSTGRES),
            Drilled::SnapshotHeld => (20, &["PostgresSnapshotHeld"], &[]),
            Drilled::ColumnRenamed => (
                5,
                &["SchemaDoesNotFit"],
                &[FAILS, LATE, "ApiOverloaded", "QueueLags", "ReconcilerMissing"],
            ),
        };
        Self {
            fault,
            lasts: Duration::from_secs(seconds),
            alerts,
            may,
        }
    }
}

/// Seconds, alerts that must fire, and alerts that may.
fn of_chaos(fault: Fault) -> (u64, &'static [&'static str], &'static [&'static str]) {
    match fault {
        // The product recovers by itself, and no alert has to tell of it.
        Fault::ApiKilled | Fault::RedisFlushed | Fault::JobsLost => (0, &[], &["QueueLosesJobs", LATE]),
        // Another worker leads within 5 s, which are five minutes of the rules.
        Fault::WorkerKilled | Fault::WorkerPaused | Fault::RollingRestarts => {
            (0, &[], &["WorkersDie", "ReconcilerMissing", LATE])
        }
        Fault::RedisLosesWrites | Fault::RedisRestored => {
            (10, &[], &["RedisUnavailable", "QueueLosesJobs", LATE])
        }
        Fault::PostgresRestarted | Fault::PostgresFailedOver | Fault::ConnectionsTerminated => (
            0,
            &[],
            &[
                "PostgresUnavailable",
                LATE,
                FAILS,
                "ApiOverloaded",
                "ReconcilerMissing",
            ],
        ),
        Fault::RedisKilled | Fault::RedisPaused => (
            10,
            &["RedisUnavailable"],
            &[LATE, FAILS, "QueueLags", "StoreMetricsMissing"],
        ),
        Fault::GatewayRefuses => (10, &[GATEWAY], &[LATE, ONE]),
        Fault::GatewayRejectsKey => (10, &["PaymentGatewayRejectsKey"], &[GATEWAY, LATE, ONE]),
        Fault::GatewayErrors
        | Fault::GatewayErrorsAfterCharge
        | Fault::GatewayHangs
        | Fault::GatewayLimitsRate
        | Fault::GatewayProcesses
        | Fault::ResponsesLost
        | Fault::KeysForgotten => (10, &[], &[GATEWAY, LATE, ONE]),
        Fault::CollectorAbsent => (10, &["CollectorUnreachable"], &[]),
        Fault::QueuePaused => (40, &["QueuePaused"], &[LATE]),
    }
}

impl Drilled {
    pub(super) async fn inject(
        self,
        deployment: &Deployment,
        rng: Rng,
        lasts: Duration,
    ) -> anyhow::Result<()> {
        match self {
            Self::Chaos(fault) => fault.inject(deployment, rng, lasts).await,
            Self::WorkersStopped => stopped(&deployment.workers, Service::Worker, lasts).await,
            Self::ApisStopped => stopped(&deployment.apis, Service::Api, lasts).await,
            Self::PostgresStopped => {
                let mut postgres = deployment.postgres.lock().await;
                postgres.stop().await?;
                sleep(lasts).await;
                postgres.restart().await
            }
            Self::SnapshotHeld => {
                let mut sql = deployment.database.connect().await?;
                let transaction = sql.build_transaction();
                let isolation = tokio_postgres::IsolationLevel::RepeatableRead;
                let transaction = transaction.isolation_level(isolation).start().await?;
                transaction.execute("SELECT 1 FROM orders LIMIT 1", &[]).await?;
                sleep(lasts).await;
                Ok(transaction.rollback().await?)
            }
            Self::ColumnRenamed => {
                let sql = deployment.database.connect().await?;
                sql.batch_execute("ALTER TABLE orders RENAME COLUMN currency TO renamed")
                    .await?;
                sleep(lasts).await;
                let back = "ALTER TABLE orders RENAME COLUMN renamed TO currency";
                Ok(sql.batch_execute(back).await?)
            }
        }
    }
}

async fn stopped(replicas: &[Mutex<Stack>; 2], service: Service, lasts: Duration) -> anyhow::Result<()> {
    let [first, second] = replicas;
    let (mut first, mut second) = (first.lock().await, second.lock().await);
    for replica in [&mut first, &mut second] {
        replica.stop(service).await?;
    }
    sleep(lasts).await;
    for replica in [&mut first, &mut second] {
        let restarted = replica.restart(service).await;
        restarted.with_context(|| format!("{service} did not start again"))?;
    }
    Ok(())
}

impl std::fmt::Display for Drilled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Chaos(fault) => fault.word(),
            Self::WorkersStopped => "workers-stopped",
            Self::ApisStopped => "apis-stopped",
            Self::PostgresStopped => "postgres-stopped",
            Self::SnapshotHeld => "snapshot-held",
            Self::ColumnRenamed => "column-renamed",
        })
    }
}

/// Parses the word of `--faults`.
impl std::str::FromStr for Drilled {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all: Vec<Self> = Step::all().iter().map(|step| step.fault).collect();
        let named = all.iter().find(|fault| fault.to_string() == word).copied();
        named.ok_or_else(|| {
            let words: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("takes {}", words.join(", "))
        })
    }
}
