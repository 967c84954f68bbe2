//! The faults: how each begins, how long it lasts, and how it ends.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use serde_json::{Value, json};
use testkit::{Service, Signal};
use tokio::time::sleep;

use crate::deployment::{DISPATCH_GRACE, Deployment, LEASE};

/// How long Redis, the gateway or the collector is faulty in a round.
pub(crate) const OUTAGE: Duration = Duration::from_secs(3);
/// Pause between a kill and the restart.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Pause before an operator's command is repeated.
const REPEAT_DELAY: Duration = Duration::from_millis(200);
const ROLLING_RESTARTS: usize = 20;
/// Bytes at the end of Redis' append-only file: about a second of a round.
const LOST_WRITES: u64 = 64 << 10;

/// Ends every other connection to the database.
pub const TERMINATE_CONNECTIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid()";
/// The list of the jobs that wait.
pub const WAITING_JOBS: &str = "orders:active";

/// A fault that a round can inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of one worker, and its restart.
    WorkerKilled,
    /// SIGSTOP of one worker for twice its lease.
    WorkerPaused,
    /// SIGKILL of one api, and its restart.
    ApiKilled,
    /// Twenty restarts by SIGTERM, of each api and worker in turn: a rolling deployment.
    RollingRestarts,
    /// SIGKILL of Redis, and its restart after 3 s.
    RedisKilled,
    /// SIGKILL of Redis, which also loses its last writes, and its restart.
    RedisLosesWrites,
    /// SIGKILL of Redis, and its restart with the data that it had 3 s before.
    RedisRestored,
    /// FLUSHALL: Redis loses everything.
    RedisFlushed,
    /// SIGSTOP of Redis for 3 s.
    RedisPaused,
    /// An immediate shutdown of PostgreSQL, and its restart.
    PostgresRestarted,
    /// SIGKILL of PostgreSQL with commits that its synchronous replica has not received, and the replica's
    /// promotion.
    PostgresFailedOver,
    /// Every connection to PostgreSQL is terminated.
    ConnectionsTerminated,
    /// Redis loses the list of the jobs that wait.
    JobsLost,
    /// For 3 s half of the payments get a 500.
    GatewayErrors,
    /// For 3 s half of the charges get a 500 after they were made.
    GatewayErrorsAfterCharge,
    /// For 3 s half of the payments get no response.
    GatewayHangs,
    /// For 3 s the gateway refuses connections.
    GatewayRefuses,
    /// For 3 s the gateway rejects the service's key.
    GatewayRejectsKey,
    /// For 3 s the gateway accepts 5 requests per second.
    GatewayLimitsRate,
    /// For 3 s a charge stays `processing` for 2 s.
    GatewayProcesses,
    /// For 3 s the responses to half of the charges are lost.
    ResponsesLost,
    /// The same, and the gateway forgets its idempotency keys.
    KeysForgotten,
    /// SIGKILL of the OTLP receiver, and its restart after 3 s.
    CollectorAbsent,
    /// An operator pauses the queue, and resumes it after 3 s.
    QueuePaused,
}

/// Orders that were accepted without Redis are dispatched within this time of its return, and an expired
/// lease is found within it.
const DISPATCH_BOUND: Duration = Duration::from_secs(5);
/// The orders that accumulated are processed within this time.
const CATCH_UP_BOUND: Duration = Duration::from_secs(5);
/// After an outage of the gateway of 3 s: the next probe follows within 4 s, and the orders within twice the
/// time that they have waited.
const GATEWAY_BOUND: Duration = Duration::from_secs(20);

impl Fault {
    /// Every order that was created before the fault's end is final within this time after it.
    pub(crate) fn recovery_bound(self) -> Duration {
        let dispatched = match self {
            Self::WorkerKilled | Self::WorkerPaused => LEASE + DISPATCH_BOUND,
            Self::JobsLost | Self::RedisLosesWrites | Self::RedisRestored => {
                DISPATCH_GRACE * 2 + DISPATCH_BOUND
            }
            Self::RedisKilled
            | Self::RedisFlushed
            | Self::RedisPaused
            | Self::ApiKilled
            | Self::RollingRestarts
            | Self::PostgresRestarted
            | Self::PostgresFailedOver
            | Self::ConnectionsTerminated
            | Self::CollectorAbsent
            | Self::QueuePaused => DISPATCH_BOUND,
            Self::GatewayErrors
            | Self::GatewayErrorsAfterCharge
            | Self::GatewayHangs
            | Self::GatewayRefuses
            | Self::GatewayRejectsKey
            | Self::GatewayLimitsRate
            | Self::GatewayProcesses
            | Self::ResponsesLost
            | Self::KeysForgotten => GATEWAY_BOUND,
        };
        dispatched + CATCH_UP_BOUND
    }

    /// Every fault, in the order of the rounds.
    pub const ALL: [Self; 24] = [
        Self::WorkerKilled,
        Self::WorkerPaused,
        Self::ApiKilled,
        Self::RollingRestarts,
        Self::RedisKilled,
        Self::RedisLosesWrites,
        Self::RedisRestored,
        Self::RedisFlushed,
        Self::RedisPaused,
        Self::PostgresRestarted,
        Self::PostgresFailedOver,
        Self::ConnectionsTerminated,
        Self::JobsLost,
        Self::GatewayErrors,
        Self::GatewayErrorsAfterCharge,
        Self::GatewayHangs,
        Self::GatewayRefuses,
        Self::GatewayRejectsKey,
        Self::GatewayLimitsRate,
        Self::GatewayProcesses,
        Self::ResponsesLost,
        Self::KeysForgotten,
        Self::CollectorAbsent,
        Self::QueuePaused,
    ];

    /// The short faults that can lose an order or charge it twice.
    pub const SHORT: [Self; 7] = [
        Self::WorkerPaused,
        Self::ApiKilled,
        Self::RedisFlushed,
        Self::PostgresRestarted,
        Self::GatewayErrors,
        Self::KeysForgotten,
        Self::QueuePaused,
    ];

    /// Injects the fault, which lasts for `outage` where it lasts; returns when it has ended.
    pub(crate) async fn inject(
        self,
        deployment: &Deployment,
        mut rng: Rng,
        outage: Duration,
    ) -> anyhow::Result<()> {
        let replica = rng.usize(..2);
        let [workers, apis] = [&deployment.workers, &deployment.apis];
        let chosen = |of| <[_]>::get(of, replica).context("there are two replicas");
        match self {
            Self::WorkerKilled => {
                let mut worker = chosen(workers)?.lock().await;
                worker.kill(Service::Worker).await?;
                sleep(RESTART_DELAY).await;
                worker.restart(Service::Worker).await
            }
            Self::WorkerPaused => {
                let mut worker = chosen(workers)?.lock().await;
                worker.signal(Service::Worker, Signal::STOP)?;
                sleep(LEASE * 2).await;
                worker.signal(Service::Worker, Signal::CONT)
            }
            Self::ApiKilled => {
                let mut api = chosen(apis)?.lock().await;
                api.kill(Service::Api).await?;
                sleep(RESTART_DELAY).await;
                api.restart(Service::Api).await
            }
            Self::RollingRestarts => rolling_restarts(deployment).await,
            Self::RedisKilled => {
                let mut redis = deployment.redis.lock().await;
                redis.kill().await?;
                sleep(outage).await;
                redis.restart().await
            }
            Self::RedisLosesWrites => {
                let mut redis = deployment.redis.lock().await;
                redis.kill_and_lose_last_writes(LOST_WRITES).await?;
                sleep(RESTART_DELAY).await;
                redis.restart().await
            }
            Self::RedisRestored => {
                let mut redis = deployment.redis.lock().await;
                redis.back_up()?;
                sleep(outage).await;
                redis.kill_and_restore().await?;
                redis.restart().await
            }
            Self::RedisFlushed => {
                let redis = deployment.redis.lock().await;
                let mut connection = redis.connect().await?;
                redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await?;
                Ok(())
            }
            Self::RedisPaused => deployment.redis.lock().await.pause(outage).await,
            Self::PostgresRestarted => {
                let mut postgres = deployment.postgres.lock().await;
                postgres.crash().await?;
                sleep(RESTART_DELAY).await;
                postgres.restart().await
            }
            Self::PostgresFailedOver => {
                let mut postgres = deployment.postgres.lock().await;
                let replica = postgres.start_replica().await?;
                replica.stop_replication().await?;
                // Commits are now written, and confirmed to no client.
                sleep(RESTART_DELAY).await;
                postgres.kill().await?;
                replica.promote().await?;
                deployment.postgres_endpoint.retarget(&replica.url())?;
                *postgres = replica;
                Ok(())
            }
            Self::ConnectionsTerminated => {
                let _exclusive = deployment.postgres.lock().await;
                let sql = deployment.database.connect().await?;
                sql.execute(TERMINATE_CONNECTIONS, &[]).await?;
                Ok(())
            }
            Self::JobsLost => {
                let redis = deployment.redis.lock().await;
                let mut connection = redis.connect().await?;
                redis::cmd("DEL")
                    .arg(WAITING_JOBS)
                    .query_async::<()>(&mut connection)
                    .await?;
                Ok(())
            }
            Self::GatewayErrors => gateway_faults(deployment, outage, json!({ "error_rate": 0.5 })).await,
            Self::GatewayErrorsAfterCharge => {
                gateway_faults(deployment, outage, json!({ "error_after_charge_rate": 0.5 })).await
            }
            Self::GatewayHangs => gateway_faults(deployment, outage, json!({ "hang_rate": 0.5 })).await,
            Self::GatewayRefuses => {
                deployment.gateway_endpoint.cut().await;
                sleep(outage).await;
                deployment.gateway_endpoint.restore().await
            }
            Self::GatewayRejectsKey => {
                gateway_faults(deployment, outage, json!({ "unauthorized": true })).await
            }
            Self::GatewayLimitsRate => {
                gateway_faults(deployment, outage, json!({ "rate_limit_per_second": 5 })).await
            }
            Self::GatewayProcesses => {
                gateway_faults(deployment, outage, json!({ "processing_ms": 2000 })).await
            }
            Self::ResponsesLost => {
                gateway_faults(deployment, outage, json!({ "drop_after_charge_rate": 0.5 })).await
            }
            Self::KeysForgotten => {
                let faults = json!({ "drop_after_charge_rate": 0.5, "forget_keys": true });
                gateway_faults(deployment, outage, faults).await
            }
            Self::CollectorAbsent => {
                let mut lens = deployment.lens.lock().await;
                lens.kill(Service::Lens).await?;
                sleep(outage).await;
                lens.restart(Service::Lens).await
            }
            Self::QueuePaused => {
                command_queue(deployment, "pause").await?;
                sleep(outage).await;
                command_queue(deployment, "resume").await
            }
        }
    }
}

/// Sends an operator's command until an api that is available carries it out.
async fn command_queue(deployment: &Deployment, command: &str) -> anyhow::Result<()> {
    loop {
        for url in deployment.balancer.route(0) {
            let request = deployment.http.post(format!("{url}/api/queue/{command}"));
            if let Ok(response) = request.send().await
                && !response.status().is_server_error()
            {
                response.error_for_status()?;
                return Ok(());
            }
        }
        sleep(REPEAT_DELAY).await;
    }
}

/// Of overlapping faults, the one that began or ended last is in effect.
async fn gateway_faults(deployment: &Deployment, outage: Duration, faults: Value) -> anyhow::Result<()> {
    deployment.set_gateway_faults(faults).await?;
    sleep(outage).await;
    deployment.set_gateway_faults(json!({})).await
}

/// Each replica is ready again before the next one stops; every process must exit with code 0.
async fn rolling_restarts(deployment: &Deployment) -> anyhow::Result<()> {
    let apis = deployment.apis.iter().map(|api| (api, Service::Api));
    let workers = deployment.workers.iter().map(|worker| (worker, Service::Worker));
    let all: Vec<_> = apis.enumerate().chain(workers.enumerate()).collect();
    for (replica, (stack, service)) in all.iter().cycle().take(ROLLING_RESTARTS) {
        let mut stack = stack.lock().await;
        let drain = |drained| {
            if *service == Service::Api {
                deployment.balancer.drain(*replica, drained);
            }
        };
        drain(true);
        let status = stack.stop(*service).await?;
        anyhow::ensure!(status.success(), "{service} did not exit with code 0: {status}");
        stack.restart(*service).await?;
        drain(false);
    }
    Ok(())
}

/// Parses the word of `--faults`.
impl FromStr for Fault {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|fault| fault.word() == word);
        named.ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|fault| fault.word()).collect();
            format!("takes {}", words.join(", "))
        })
    }
}

impl Fault {
    /// The word of `--faults`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker-killed",
            Self::WorkerPaused => "worker-paused",
            Self::ApiKilled => "api-killed",
            Self::RollingRestarts => "rolling-restarts",
            Self::RedisKilled => "redis-killed",
            Self::RedisLosesWrites => "redis-loses-writes",
            Self::RedisRestored => "redis-restored",
            Self::RedisFlushed => "redis-flushed",
            Self::RedisPaused => "redis-paused",
            Self::PostgresRestarted => "postgres-restarted",
            Self::PostgresFailedOver => "postgres-failed-over",
            Self::ConnectionsTerminated => "connections-terminated",
            Self::JobsLost => "jobs-lost",
            Self::GatewayErrors => "gateway-errors",
            Self::GatewayErrorsAfterCharge => "gateway-errors-after-charge",
            Self::GatewayHangs => "gateway-hangs",
            Self::GatewayRefuses => "gateway-refuses",
            Self::GatewayRejectsKey => "gateway-rejects-key",
            Self::GatewayLimitsRate => "gateway-limits-rate",
            Self::GatewayProcesses => "gateway-processes",
            Self::ResponsesLost => "responses-lost",
            Self::KeysForgotten => "keys-forgotten",
            Self::CollectorAbsent => "collector-absent",
            Self::QueuePaused => "queue-paused",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorkerKilled => "worker SIGKILL",
            Self::WorkerPaused => "worker paused past its lease",
            Self::ApiKilled => "api SIGKILL",
            Self::RollingRestarts => "20 rolling restarts",
            Self::RedisKilled => "redis SIGKILL, 3 s down",
            Self::RedisLosesWrites => "redis SIGKILL, loses writes",
            Self::RedisRestored => "redis restored, 3 s older",
            Self::RedisFlushed => "redis FLUSHALL",
            Self::RedisPaused => "redis paused 3 s",
            Self::PostgresRestarted => "postgres immediate restart",
            Self::PostgresFailedOver => "postgres failover",
            Self::ConnectionsTerminated => "postgres connections cut",
            Self::JobsLost => "redis loses the waiting jobs",
            Self::GatewayErrors => "gateway errors",
            Self::GatewayErrorsAfterCharge => "charges, then errors",
            Self::GatewayHangs => "gateway hangs",
            Self::GatewayRefuses => "gateway refuses connections",
            Self::GatewayRejectsKey => "gateway rejects the key",
            Self::GatewayLimitsRate => "gateway limits the rate",
            Self::GatewayProcesses => "gateway processes for 2 s",
            Self::ResponsesLost => "charges, responses lost",
            Self::KeysForgotten => "the same, keys forgotten",
            Self::CollectorAbsent => "collector absent",
            Self::QueuePaused => "queue paused 3 s",
        })
    }
}
