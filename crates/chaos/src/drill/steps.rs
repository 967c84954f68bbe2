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
    /// Alerts that must fire, and the seconds after the fault's beginning in which their expression becomes
    /// true. A deadline is these, the rule's `for`, and some lateness.
    pub alerts: Alerts,
    /// Alerts that may fire too: what the fault does to them depends on the moment.
    pub may: &'static [&'static str],
}

type Alerts = &'static [(&'static str, u64)];

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
const OVERLOADED: &str = "ApiOverloaded";
const GATEWAY: &str = "PaymentGatewayUnavailable";
const ONE: &str = "PaymentGatewayUnavailableForOne";
const POSTGRES: &str = "PostgresUnavailable";
const REDIS: &str = "RedisUnavailable";
const LAGS: &str = "QueueLags";
/// Orders that were accepted without Redis, and jobs that it lost, are dispatched again.
const LOST: &str = "QueueLosesJobs";
/// If the worker that led is hit, another leads within 5 s, which are five minutes of the rules.
const RECONCILER: &str = "ReconcilerMissing";

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
        let faults = [Drilled::Chaos(Fault::GatewayRefuses), Drilled::ColumnRenamed];
        faults.map(Self::of).into()
    }

    /// The step of a fault.
    #[must_use]
    pub fn of(fault: Drilled) -> Self {
        let (seconds, alerts, may): (u64, Alerts, &[&str]) = match fault {
            Drilled::Chaos(fault) => of_chaos(fault),
            // The collector forgets a process after 150 s. Half of the orders that waited are late, which is
            // about the share that fires; and one of the new workers leads within 5 s.
            Drilled::WorkersStopped => (10, &[("WorkersMissing", 4)], &[LATE, RECONCILER]),
            Drilled::ApisStopped => (10, &[("ApiMissing", 5)], &[]),
            // Workers reconcile again about when the alert would fire; the moment decides whether statements
            // wait for a connection, and how many attempts lose their leases; PostgreSQL may take longer to
            // start than its metrics may be absent.
            Drilled::PostgresStopped => (
                10,
                &[(POSTGRES, 0), (FAILS, 1), (OVERLOADED, 1)],
                &[
                    RECONCILER,
                    "PostgresPoolExhausted",
                    "StoreMetricsMissing",
                    "WorkersDie",
                ],
            ),
            Drilled::SnapshotHeld => (20, &[("PostgresSnapshotHeld", 10)], &[]),
            // Orders that exist wait for the column, few or many.
            Drilled::ColumnRenamed => (
                5,
                &[("SchemaDoesNotFit", 0), (FAILS, 1)],
                &[LATE, OVERLOADED, RECONCILER],
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
fn of_chaos(fault: Fault) -> (u64, Alerts, &'static [&'static str]) {
    match fault {
        // The product recovers by itself; at ten orders a second, fewer than ten jobs wait in Redis.
        Fault::ApiKilled | Fault::RedisFlushed | Fault::JobsLost => (0, &[], &[]),
        Fault::WorkerKilled | Fault::WorkerPaused | Fault::RollingRestarts => (0, &[], &[RECONCILER]),
        // Redis is down for a second: whether a job is sent in it, or waits, depends on the moment.
        Fault::RedisLosesWrites | Fault::RedisRestored => (10, &[], &[REDIS, LOST, LATE]),
        // Once Redis is back, orders are dispatched within 5 s: some wait for longer than five seconds, or
        // many.
        Fault::RedisKilled | Fault::RedisPaused => (10, &[(REDIS, 1), (LOST, 15)], &[LATE, LAGS]),
        // An outage of a second or two is about as long as the alerts wait.
        Fault::PostgresRestarted => (0, &[(FAILS, 1)], &[POSTGRES, OVERLOADED, RECONCILER]),
        // Whether a statement is under way depends on the moment.
        Fault::PostgresFailedOver | Fault::ConnectionsTerminated => {
            (0, &[], &[POSTGRES, FAILS, OVERLOADED, RECONCILER])
        }
        // How many of the orders that ended are late depends on how long the workers' next probes take.
        Fault::GatewayRefuses => (10, &[(GATEWAY, 3)], &[LATE]),
        Fault::GatewayRejectsKey => (10, &[("PaymentGatewayRejectsKey", 1), (GATEWAY, 3)], &[LATE]),
        // Half of the requests: chance decides whether breakers open, for how long, and how many orders wait.
        Fault::GatewayErrors
        | Fault::GatewayErrorsAfterCharge
        | Fault::GatewayHangs
        | Fault::ResponsesLost
        | Fault::KeysForgotten => (10, &[], &[GATEWAY, LATE, ONE]),
        // The limit is about what the orders need.
        Fault::GatewayLimitsRate => (10, &[], &[LATE]),
        // It takes less than the five seconds of the objective.
        Fault::GatewayProcesses => (10, &[], &[]),
        Fault::CollectorAbsent => (10, &[("CollectorUnreachable", 0)], &[]),
        // The orders of 40 s end within seconds, which are minutes of the rules.
        Fault::QueuePaused => (
            40,
            &[("QueuePaused", 2), (LATE, 43)],
            &[LAGS, "OrdersWaitTooLong"],
        ),
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
