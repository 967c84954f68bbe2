//! How each fault begins, how long it lasts, and how it ends.

use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use serde_json::{Value, json};
use testkit::{Service, Signal, Stack};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::deployment::{Deployment, LEASE};
use crate::fault::Fault;

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

impl Fault {
    /// Injects the fault, which lasts for `outage` where it lasts; returns when it has ended.
    pub(crate) async fn inject(
        self,
        deployment: &Deployment,
        mut rng: Rng,
        outage: Duration,
    ) -> anyhow::Result<()> {
        let replica = rng.usize(..2);
        let chosen = |of| <[_]>::get(of, replica).context("there are two replicas");
        match self {
            Self::WorkerKilled => kill(chosen(&deployment.workers)?, Service::Worker, RESTART_DELAY).await,
            Self::WorkerPaused => {
                let mut worker = chosen(&deployment.workers)?.lock().await;
                worker.signal(Service::Worker, Signal::STOP)?;
                sleep(LEASE * 2).await;
                worker.signal(Service::Worker, Signal::CONT)
            }
            Self::ApiKilled => kill(chosen(&deployment.apis)?, Service::Api, RESTART_DELAY).await,
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
            Self::RedisFlushed => run(deployment, redis::cmd("FLUSHALL")).await,
            Self::JobsLost => run(deployment, redis::cmd("DEL").arg(WAITING_JOBS).to_owned()).await,
            Self::RedisPaused => deployment.redis.lock().await.pause(outage).await,
            Self::PostgresRestarted => {
                let mut postgres = deployment.postgres.lock().await;
                postgres.crash().await?;
                sleep(RESTART_DELAY).await;
                postgres.restart().await
            }
            Self::PostgresFailedOver => fail_over(deployment).await,
            Self::ConnectionsTerminated => {
                let _exclusive = deployment.postgres.lock().await;
                let sql = deployment.database.connect().await?;
                sql.execute(TERMINATE_CONNECTIONS, &[]).await?;
                Ok(())
            }
            Self::CollectorAbsent => kill(&deployment.lens, Service::Lens, outage).await,
            Self::QueuePaused => {
                command_queue(deployment, "pause").await?;
                sleep(outage).await;
                command_queue(deployment, "resume").await
            }
            Self::GatewayRefuses => {
                deployment.gateway_endpoint.cut().await;
                sleep(outage).await;
                deployment.gateway_endpoint.restore().await
            }
            Self::GatewayErrors
            | Self::GatewayErrorsAfterCharge
            | Self::GatewayHangs
            | Self::GatewayRejectsKey
            | Self::GatewayLimitsRate
            | Self::GatewayProcesses
            | Self::ResponsesLost
            | Self::KeysForgotten => {
                // Of overlapping faults, the one that began or ended last is in effect.
                deployment.set_gateway_faults(self.gateway_fields()).await?;
                sleep(outage).await;
                deployment.set_gateway_faults(json!({})).await
            }
        }
    }

    /// The fields of `/sandbox/faults`.
    fn gateway_fields(self) -> Value {
        match self {
            Self::GatewayErrors => json!({ "error_rate": 0.5 }),
            Self::GatewayErrorsAfterCharge => json!({ "error_after_charge_rate": 0.5 }),
            Self::GatewayHangs => json!({ "hang_rate": 0.5 }),
            Self::GatewayRejectsKey => json!({ "unauthorized": true }),
            Self::GatewayLimitsRate => json!({ "rate_limit_per_second": 5 }),
            Self::GatewayProcesses => json!({ "processing_ms": 2000 }),
            Self::ResponsesLost => json!({ "drop_after_charge_rate": 0.5 }),
            Self::KeysForgotten => json!({ "drop_after_charge_rate": 0.5, "forget_keys": true }),
            _ => json!({}),
        }
    }
}

/// Kills the service, and starts it again after `delay`.
async fn kill(stack: &Mutex<Stack>, service: Service, delay: Duration) -> anyhow::Result<()> {
    let mut stack = stack.lock().await;
    stack.kill(service).await?;
    sleep(delay).await;
    stack.restart(service).await
}

async fn run(deployment: &Deployment, command: redis::Cmd) -> anyhow::Result<()> {
    let redis = deployment.redis.lock().await;
    Ok(command.exec_async(&mut redis.connect().await?).await?)
}

/// Kills the primary with commits that its synchronous replica has not received, and promotes the replica.
async fn fail_over(deployment: &Deployment) -> anyhow::Result<()> {
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
