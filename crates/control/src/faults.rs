//! The faults of the gateway, Redis and PostgreSQL. Each ends by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::part::Part;
use crate::servers;
use crate::system::{Act, System};

/// How long a fault of the gateway lasts.
const GATEWAY_FAULT: Duration = Duration::from_secs(30);
/// How long Redis is down or paused.
const OUTAGE: Duration = Duration::from_secs(3);
/// A gateway that is paused does not respond.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(2);
const LOCK: Duration = Duration::from_secs(5);

/// A fault that a person can inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    GatewaySlow,
    GatewayErrors,
    GatewayHangs,
    ResponsesLost,
    RateLimit,
    WrongKey,
    RedisFlush,
    RedisKill,
    RedisPause,
    JobsLost,
    PostgresRestart,
    ConnectionsEnded,
    OrdersLocked,
}

/// A fault's name in forms, its words, its part, and what it does.
const FAULTS: [(Fault, &str, Part, &str, &str); 13] = {
    use Fault::*;
    use Part::{Gateway, PostgreSql, Redis};
    [
        (
            GatewaySlow,
            "gateway-slow",
            Gateway,
            "slow: 2 s",
            "each response takes 2 s longer",
        ),
        (
            GatewayErrors,
            "gateway-errors",
            Gateway,
            "20 % errors",
            "answers 20 % with 500",
        ),
        (
            GatewayHangs,
            "gateway-hangs",
            Gateway,
            "hangs",
            "half of the requests get no response",
        ),
        (
            ResponsesLost,
            "responses-lost",
            Gateway,
            "responses lost",
            "charges, and loses half of the responses",
        ),
        (
            RateLimit,
            "rate-limit",
            Gateway,
            "429",
            "accepts 5 requests/s, and answers 429 beyond",
        ),
        (
            WrongKey,
            "wrong-key",
            Gateway,
            "wrong key",
            "rejects the key of the service with 401",
        ),
        (
            RedisFlush,
            "redis-flush",
            Redis,
            "flush",
            "loses everything (FLUSHALL)",
        ),
        (
            RedisKill,
            "redis-kill",
            Redis,
            "kill for 3 s",
            "killed, started again after 3 s",
        ),
        (
            RedisPause,
            "redis-pause",
            Redis,
            "pause for 3 s",
            "paused for 3 s",
        ),
        (
            JobsLost,
            "jobs-lost",
            Redis,
            "lose one list",
            "loses the list of waiting jobs",
        ),
        (
            PostgresRestart,
            "postgres-restart",
            PostgreSql,
            "restart",
            "restarts",
        ),
        (
            ConnectionsEnded,
            "connections-ended",
            PostgreSql,
            "end connections",
            "ends every connection",
        ),
        (
            OrdersLocked,
            "orders-locked",
            PostgreSql,
            "lock orders for 5 s",
            "locks the table of orders for 5 s",
        ),
    ]
};

impl Fault {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        FAULTS.into_iter().map(|(fault, ..)| fault)
    }

    pub(crate) fn named(slug: &str) -> Option<Self> {
        Self::all().find(|fault| fault.slug() == slug)
    }

    fn row(self) -> (&'static str, Part, &'static str, &'static str) {
        let row = FAULTS.into_iter().find(|(fault, ..)| *fault == self);
        row.map_or(("", Part::Gateway, "", ""), |(_, slug, part, name, does)| {
            (slug, part, name, does)
        })
    }

    pub(crate) fn slug(self) -> &'static str {
        self.row().0
    }

    pub(crate) fn part(self) -> Part {
        self.row().1
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().2
    }

    /// What its part does while it lasts.
    pub(crate) fn does(self) -> &'static str {
        self.row().3
    }

    /// The fields of `/sandbox/faults`.
    fn gateway_fields(self) -> Value {
        match self {
            Self::GatewaySlow => json!({ "latency_ms": 2000 }),
            Self::GatewayErrors => json!({ "error_rate": 0.2 }),
            Self::GatewayHangs => json!({ "hang_rate": 0.5 }),
            Self::ResponsesLost => json!({ "drop_after_charge_rate": 0.5 }),
            Self::RateLimit => json!({ "rate_limit_per_second": 5 }),
            Self::WrongKey => json!({ "unauthorized": true }),
            _ => json!({}),
        }
    }
}

/// The faults that last.
#[derive(Debug)]
pub(crate) struct Faults {
    system: Arc<System>,
    http: reqwest::Client,
    /// When each ends.
    active: Mutex<BTreeMap<Fault, Instant>>,
    /// The gateway does not know yet which are active.
    is_stale: AtomicBool,
}

impl Faults {
    pub(crate) fn new(system: Arc<System>, http: reqwest::Client) -> Self {
        Self {
            system,
            http,
            active: Mutex::default(),
            is_stale: AtomicBool::default(),
        }
    }

    /// The active faults and how long each still lasts.
    pub(crate) fn active(&self) -> Vec<(Fault, Duration)> {
        let now = Instant::now();
        let of = |(fault, end): (&Fault, &Instant)| (*fault, end.saturating_duration_since(now));
        self.locked().iter().map(of).collect()
    }

    /// Begins a fault, or ends one of the gateway that is active.
    ///
    /// # Errors
    /// When the part is not of this stack, or cannot be reached; the message is for a person.
    pub(crate) async fn toggle(&self, fault: Fault) -> anyhow::Result<()> {
        let part = fault.part();
        anyhow::ensure!(
            self.system.has(part),
            "this stack did not start {part}: it is left alone"
        );
        self.system.disturb();
        if part == Part::Gateway {
            let is_active = self.locked().contains_key(&fault);
            return self
                .set_gateway(fault, (!is_active).then_some(GATEWAY_FAULT))
                .await;
        }
        self.system
            .journal
            .event(Some(part), format!("{part} {}", fault.does()));
        self.locked().insert(fault, Instant::now() + OUTAGE);
        let done = self.inject(fault).await;
        self.locked().remove(&fault);
        done
    }

    /// Begins a fault of the gateway for this time, or ends it (`None`).
    pub(crate) async fn set_gateway(&self, fault: Fault, lasts: Option<Duration>) -> anyhow::Result<()> {
        match lasts {
            Some(lasts) => {
                self.locked().insert(fault, Instant::now() + lasts);
                let event = format!("gateway {}", fault.does());
                self.system.journal.event(Some(Part::Gateway), event);
            }
            None if self.locked().remove(&fault).is_none() => return Ok(()),
            None => self.end_event(fault),
        }
        self.apply_to_gateway().await
    }

    /// Ends the faults of the gateway whose time is over.
    pub(crate) async fn expire(&self) {
        let active = self.active().into_iter();
        let over = active.filter(|(fault, left)| fault.part() == Part::Gateway && left.is_zero());
        for (fault, _) in over {
            self.locked().remove(&fault);
            self.end_event(fault);
            self.is_stale.store(true, Ordering::Relaxed);
        }
        if self.is_stale.load(Ordering::Relaxed) {
            // It may be stopped or paused: the next call repeats it.
            let _ = self.apply_to_gateway().await;
        }
    }

    fn end_event(&self, fault: Fault) {
        let event = format!("gateway: end of \"{}\"", fault.name());
        self.system.journal.event(Some(Part::Gateway), event);
    }

    /// Tells the gateway its faults: after a change, and after it was started.
    pub(crate) async fn apply_to_gateway(&self) -> anyhow::Result<()> {
        let mut fields = Map::new();
        for (fault, _) in self.active() {
            if let Value::Object(more) = fault.gateway_fields() {
                fields.extend(more);
            }
        }
        let url = format!("{}/sandbox/faults", self.system.gateway);
        let request = self.http.post(url).json(&fields).timeout(GATEWAY_TIMEOUT);
        let applied = request.send().await.and_then(reqwest::Response::error_for_status);
        self.is_stale.store(applied.is_err(), Ordering::Relaxed);
        applied.map(drop).context("the gateway does not respond")
    }

    async fn inject(&self, fault: Fault) -> anyhow::Result<()> {
        let system = &self.system;
        match fault {
            Fault::RedisFlush => redis(system, redis::cmd("FLUSHALL")).await,
            Fault::JobsLost => redis(system, redis::cmd("DEL").arg(chaos::WAITING_JOBS).to_owned()).await,
            Fault::RedisKill => {
                system.act(Part::Redis, Act::Kill).await?;
                sleep(OUTAGE).await;
                system.act(Part::Redis, Act::Start).await
            }
            Fault::RedisPause => {
                system.act(Part::Redis, Act::Pause).await?;
                sleep(OUTAGE).await;
                system.act(Part::Redis, Act::Continue).await
            }
            Fault::PostgresRestart => {
                system.act(Part::PostgreSql, Act::Stop).await?;
                system.act(Part::PostgreSql, Act::Start).await
            }
            Fault::ConnectionsEnded => sql(system, chaos::TERMINATE_CONNECTIONS).await,
            Fault::OrdersLocked => {
                let lock = format!(
                    "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({}); ROLLBACK",
                    LOCK.as_secs()
                );
                sql(system, &lock).await
            }
            _ => Ok(()),
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Fault, Instant>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn redis(system: &System, command: redis::Cmd) -> anyhow::Result<()> {
    let mut connection = servers::redis(system).await?;
    Ok(command.exec_async(&mut connection).await?)
}

async fn sql(system: &System, statements: &str) -> anyhow::Result<()> {
    Ok(servers::sql(system).await?.batch_execute(statements).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_name_and_those_of_the_gateway_have_fields() {
        for fault in Fault::all() {
            assert_eq!(Fault::named(fault.slug()), Some(fault));
            let has_fields = fault.gateway_fields() != json!({});
            assert_eq!(has_fields, fault.part() == Part::Gateway, "{fault:?}");
        }
        assert_eq!(Fault::named("gateway"), None);
    }
}
