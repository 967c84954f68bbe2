//! The faults, and how long the recovery from each may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::deployment::{DISPATCH_GRACE, LEASE};

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
        self.names().0
    }

    /// The word of `--faults`, and the name in reports.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::WorkerKilled => ("worker-killed", "worker SIGKILL"),
            Self::WorkerPaused => ("worker-paused", "worker paused past its lease"),
            Self::ApiKilled => ("api-killed", "api SIGKILL"),
            Self::RollingRestarts => ("rolling-restarts", "20 rolling restarts"),
            Self::RedisKilled => ("redis-killed", "redis SIGKILL, 3 s down"),
            Self::RedisLosesWrites => ("redis-loses-writes", "redis SIGKILL, loses writes"),
            Self::RedisRestored => ("redis-restored", "redis restored, 3 s older"),
            Self::RedisFlushed => ("redis-flushed", "redis FLUSHALL"),
            Self::RedisPaused => ("redis-paused", "redis paused 3 s"),
            Self::PostgresRestarted => ("postgres-restarted", "postgres immediate restart"),
            Self::PostgresFailedOver => ("postgres-failed-over", "postgres failover"),
            Self::ConnectionsTerminated => ("connections-terminated", "postgres connections cut"),
            Self::JobsLost => ("jobs-lost", "redis loses the waiting jobs"),
            Self::GatewayErrors => ("gateway-errors", "gateway errors"),
            Self::GatewayErrorsAfterCharge => ("gateway-errors-after-charge", "charges, then errors"),
            Self::GatewayHangs => ("gateway-hangs", "gateway hangs"),
            Self::GatewayRefuses => ("gateway-refuses", "gateway refuses connections"),
            Self::GatewayRejectsKey => ("gateway-rejects-key", "gateway rejects the key"),
            Self::GatewayLimitsRate => ("gateway-limits-rate", "gateway limits the rate"),
            Self::GatewayProcesses => ("gateway-processes", "gateway processes for 2 s"),
            Self::ResponsesLost => ("responses-lost", "charges, responses lost"),
            Self::KeysForgotten => ("keys-forgotten", "the same, keys forgotten"),
            Self::CollectorAbsent => ("collector-absent", "collector absent"),
            Self::QueuePaused => ("queue-paused", "queue paused 3 s"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names().1)
    }
}
