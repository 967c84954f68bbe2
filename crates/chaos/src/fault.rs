//! The faults: how each begins, how long it lasts, and how it ends.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use testkit::{Service, Signal};
use tokio::time::sleep;

use crate::schedule::Seeded;
use crate::shop::{LEASE, Shop};

/// How long a server is away, and how long the gateway misbehaves.
const OUTAGE: Duration = Duration::from_secs(3);
/// Before what was killed is started again.
const RESTART: Duration = Duration::from_secs(1);
/// Restarts of the rolling kind in one round.
const ROLLING_RESTARTS: usize = 20;

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of one worker, that is started again.
    WorkerKilled,
    /// SIGSTOP of one worker for longer than its leases hold.
    WorkerPaused,
    /// SIGKILL of one api, that is started again.
    ApiKilled,
    /// SIGTERM of every api and worker in turn, twenty times in all: what a deployment does.
    RollingRestarts,
    /// SIGKILL of Redis, and its return.
    RedisKilled,
    /// FLUSHALL: Redis loses everything.
    RedisFlushed,
    /// SIGSTOP of Redis for 3 s.
    RedisPaused,
    /// An immediate shutdown of PostgreSQL, and its return.
    PostgresRestarted,
    /// Every connection to PostgreSQL is terminated.
    ConnectionsTerminated,
    /// Half of the payments are answered 500.
    GatewayErrors,
    /// Half of the payments are never answered.
    GatewayHangs,
    /// Half of the charges are made, but their answer is lost.
    AnswersLost,
    /// Nobody takes the telemetry.
    CollectorAbsent,
}

/// What was accepted while Redis was away is dispatched so soon after its return, and a lease that ended is found so soon.
const TAKEN_UP: Duration = Duration::from_secs(5);
/// What came together meanwhile is then processed.
const WORKED_OFF: Duration = Duration::from_secs(5);

impl Fault {
    /// How long after its end every order from before may take to be final, where that is promised.
    pub(crate) fn recovery_bound(self) -> Option<Duration> {
        match self {
            Self::WorkerKilled => Some(LEASE + TAKEN_UP + WORKED_OFF),
            Self::RedisKilled | Self::RedisFlushed | Self::RedisPaused => Some(TAKEN_UP + WORKED_OFF),
            _ => None,
        }
    }

    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::WorkerKilled,
        Self::WorkerPaused,
        Self::ApiKilled,
        Self::RollingRestarts,
        Self::RedisKilled,
        Self::RedisFlushed,
        Self::RedisPaused,
        Self::PostgresRestarted,
        Self::ConnectionsTerminated,
        Self::GatewayErrors,
        Self::GatewayHangs,
        Self::AnswersLost,
        Self::CollectorAbsent,
    ];

    /// One for each way to lose an order, or to charge it twice, that is over quickly.
    pub const SHORT: [Self; 4] = [
        Self::WorkerPaused,
        Self::RedisFlushed,
        Self::PostgresRestarted,
        Self::AnswersLost,
    ];

    /// Injects it; returns when its cause is gone.
    pub(crate) async fn inject(self, shop: &Shop, mut seeded: Seeded) -> anyhow::Result<()> {
        let replica = seeded.either();
        let [workers, apis] = [&shop.workers, &shop.apis];
        let chosen = |of| <[_]>::get(of, replica).context("there are two replicas");
        match self {
            Self::WorkerKilled => {
                let mut worker = chosen(workers)?.lock().await;
                worker.kill(Service::Worker).await?;
                sleep(RESTART).await;
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
                sleep(RESTART).await;
                api.restart(Service::Api).await
            }
            Self::RollingRestarts => rolling_restarts(shop).await,
            Self::RedisKilled => {
                let mut redis = shop.redis.lock().await;
                redis.kill().await?;
                sleep(OUTAGE).await;
                redis.restart().await
            }
            Self::RedisFlushed => {
                let redis = shop.redis.lock().await;
                let mut connection = redis.connect().await?;
                redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await?;
                Ok(())
            }
            Self::RedisPaused => shop.redis.lock().await.pause(OUTAGE).await,
            Self::PostgresRestarted => {
                let mut postgres = shop.postgres.lock().await;
                postgres.crash().await?;
                sleep(RESTART).await;
                postgres.restart().await
            }
            Self::ConnectionsTerminated => {
                let _alone = shop.postgres.lock().await;
                let sql = shop.database().connect().await?;
                const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
                sql.execute(TERMINATE, &[]).await?;
                Ok(())
            }
            Self::GatewayErrors => gateway(shop, "error_rate").await,
            Self::GatewayHangs => gateway(shop, "hang_rate").await,
            Self::AnswersLost => gateway(shop, "drop_after_charge_rate").await,
            Self::CollectorAbsent => {
                let mut lens = shop.lens.lock().await;
                lens.kill(Service::Lens).await?;
                sleep(OUTAGE).await;
                lens.restart(Service::Lens).await
            }
        }
    }
}

/// Half of the payments, for a while. Of faults that overlap, the last to begin or to end decides.
async fn gateway(shop: &Shop, field: &str) -> anyhow::Result<()> {
    shop.gateway_faults(Some((field, 0.5))).await?;
    sleep(OUTAGE).await;
    shop.gateway_faults(None).await
}

/// One after the other, each ready before the next ends; every process must end with code 0.
async fn rolling_restarts(shop: &Shop) -> anyhow::Result<()> {
    let apis = shop.apis.iter().map(|api| (api, Service::Api));
    let workers = shop.workers.iter().map(|worker| (worker, Service::Worker));
    let all: Vec<_> = apis.chain(workers).collect();
    for (stack, service) in all.iter().cycle().take(ROLLING_RESTARTS) {
        let mut stack = stack.lock().await;
        let status = stack.stop(*service).await?;
        anyhow::ensure!(status.success(), "{service} did not end in order: {status}");
        stack.restart(*service).await?;
    }
    Ok(())
}

/// By its word on a command line.
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
    const fn word(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker-killed",
            Self::WorkerPaused => "worker-paused",
            Self::ApiKilled => "api-killed",
            Self::RollingRestarts => "rolling-restarts",
            Self::RedisKilled => "redis-killed",
            Self::RedisFlushed => "redis-flushed",
            Self::RedisPaused => "redis-paused",
            Self::PostgresRestarted => "postgres-restarted",
            Self::ConnectionsTerminated => "connections-terminated",
            Self::GatewayErrors => "gateway-errors",
            Self::GatewayHangs => "gateway-hangs",
            Self::AnswersLost => "answers-lost",
            Self::CollectorAbsent => "collector-absent",
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
            Self::RedisKilled => "redis SIGKILL, 3 s away",
            Self::RedisFlushed => "redis FLUSHALL",
            Self::RedisPaused => "redis paused 3 s",
            Self::PostgresRestarted => "postgres immediate restart",
            Self::ConnectionsTerminated => "postgres connections cut",
            Self::GatewayErrors => "gateway errors",
            Self::GatewayHangs => "gateway hangs",
            Self::AnswersLost => "charges, answers lost",
            Self::CollectorAbsent => "collector absent",
        })
    }
}
