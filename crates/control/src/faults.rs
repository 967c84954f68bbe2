//! The faults that last now. Each ends by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::fault::Fault;
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

/// The faults that last now.
#[derive(Debug)]
pub(crate) struct Faults {
    system: Arc<System>,
    http: reqwest::Client,
    /// When each ends.
    active: Mutex<BTreeMap<Fault, Instant>>,
    /// The gateway has not received yet which are active.
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

    /// Sends the gateway its faults: after a change, and after it was started.
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
