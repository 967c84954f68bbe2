//! The guided walk: orders are created, a worker is killed while it charges one of them, and the order
//! survives, charged once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::audit::Audit;
use crate::fault::Fault;
use crate::faults::Faults;
use crate::load::Load;
use crate::member::State;
use crate::order_state::{OrderState, claimed_by};
use crate::part::Part;
use crate::servers;
use crate::system::{Act, System};

/// Orders per second of the walk.
const RATE: u32 = 10;
/// The gateway is slow until the worker is killed, so that a person finds an order in mid-charge.
const SLOW_FOR: Duration = Duration::from_secs(300);
/// How often an order that is held by the killed worker is looked for.
const ATTEMPTS: usize = 3;

/// The orders whose payment is recorded and not yet confirmed, newest first: these are charged now. The last
/// line of the history names the worker.
const IN_CHARGE: &str = "
    SELECT id, history FROM orders
    WHERE dispatch_after IS NOT NULL AND status = 'processing' AND payment_id IS NOT NULL
    ORDER BY id DESC LIMIT 1000";
/// A step of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    CreateOrders,
    KillWorker,
    End,
}

/// How far the walk is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Stage {
    #[default]
    Closed,
    Explained,
    /// How many orders each worker charges now.
    Loaded(BTreeMap<Part, usize>),
    Killed(Killed),
}

/// A worker that was killed in mid-charge, and one of its orders.
#[derive(Debug, Clone)]
pub(crate) struct Killed {
    pub(crate) part: Part,
    pub(crate) pid: i32,
    pub(crate) at: DateTime<Utc>,
    /// How many orders it was charging.
    pub(crate) held: usize,
    pub(crate) order: Uuid,
    /// `None` until it was read.
    pub(crate) now: Option<OrderState>,
    /// The worker processes that were seen, also those that ended.
    workers: BTreeMap<i32, Part>,
}

pub(crate) struct Walk {
    system: Arc<System>,
    faults: Arc<Faults>,
    load: Arc<Load>,
    audit: Arc<Audit>,
    stage: Mutex<Stage>,
    sql: AsyncMutex<Option<Client>>,
}

impl Walk {
    pub(crate) fn new(system: Arc<System>, faults: Arc<Faults>, load: Arc<Load>, audit: Arc<Audit>) -> Self {
        Self {
            system,
            faults,
            load,
            audit,
            stage: Mutex::default(),
            sql: AsyncMutex::default(),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.locked().clone()
    }

    /// # Errors
    /// When it cannot be done now; the message is for a person.
    pub(crate) async fn take(&self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Open => *self.locked() = Stage::Explained,
            Step::CreateOrders => {
                self.faults
                    .set_gateway(Fault::GatewaySlow, Some(SLOW_FOR))
                    .await?;
                self.load.set_rate(RATE);
                *self.locked() = Stage::Loaded(BTreeMap::new());
            }
            Step::KillWorker => {
                let killed = self.kill().await?;
                self.audit.watch(Some(killed.order));
                *self.locked() = Stage::Killed(killed);
                self.faults.set_gateway(Fault::GatewaySlow, None).await?;
            }
            Step::End => self.end().await?,
        }
        Ok(())
    }

    /// Reads what the stage shows.
    pub(crate) async fn refresh(&self) -> anyhow::Result<()> {
        match self.stage() {
            Stage::Closed | Stage::Explained => {}
            Stage::Loaded(_) => {
                let workers = self.workers();
                let mut counts: BTreeMap<Part, usize> = BTreeMap::new();
                for (_, pid) in self.in_charge().await? {
                    if let Some(part) = workers.get(&pid) {
                        *counts.entry(*part).or_default() += 1;
                    }
                }
                if let Stage::Loaded(shown) = &mut *self.locked() {
                    *shown = counts;
                }
            }
            Stage::Killed(mut killed) => {
                killed.workers.extend(self.workers());
                if killed.now.as_ref().is_none_or(|now| !now.is_final) {
                    let row = self.query(OrderState::STATEMENT, Some(killed.order)).await?;
                    let row = row.first().context("the order of the walk is gone")?;
                    killed.now = Some(OrderState::of(row, &killed.workers)?);
                }
                if let Stage::Killed(shown) = &mut *self.locked() {
                    *shown = killed;
                }
            }
        }
        Ok(())
    }

    /// Kills the worker that charges most orders now.
    async fn kill(&self) -> anyhow::Result<Killed> {
        let workers = self.workers();
        for _ in 0..ATTEMPTS {
            let mut held: BTreeMap<i32, usize> = BTreeMap::new();
            for (_, pid) in self.in_charge().await? {
                *held.entry(pid).or_default() += 1;
            }
            let of_stack = held.into_iter().filter(|(pid, _)| workers.contains_key(pid));
            let Some((pid, _)) = of_stack.max_by_key(|(_, orders)| *orders) else {
                break;
            };
            let part = *workers.get(&pid).context("a worker of the stack")?;
            self.system.act(part, Act::Kill).await?;
            // It may have finished the orders that it charged a moment ago.
            let mut orders = self.in_charge().await?;
            orders.retain(|(_, of)| *of == pid);
            if let Some((order, _)) = orders.first() {
                return Ok(Killed {
                    part,
                    pid,
                    at: Utc::now(),
                    held: orders.len(),
                    order: *order,
                    now: None,
                    workers: workers.clone(),
                });
            }
            self.system.act(part, Act::Start).await?;
        }
        bail!("no worker charges an order at this moment: try again in a few seconds")
    }

    /// Ends the load, and starts the worker that was killed.
    async fn end(&self) -> anyhow::Result<()> {
        let stage = std::mem::take(&mut *self.locked());
        self.load.set_rate(0);
        self.audit.watch(None);
        if let Stage::Killed(killed) = stage
            && self.is_down(killed.part)
        {
            self.system.act(killed.part, Act::Start).await?;
        }
        self.faults.set_gateway(Fault::GatewaySlow, None).await
    }

    pub(crate) fn is_down(&self, part: Part) -> bool {
        let mut statuses = self.system.statuses().into_iter();
        statuses.any(|(of, status)| of == part && matches!(status.state, State::Killed | State::Stopped))
    }

    /// The workers that run, by process id.
    fn workers(&self) -> BTreeMap<i32, Part> {
        let statuses = self.system.statuses().into_iter();
        let running = statuses.filter(|(part, status)| part.is_worker() && status.state == State::Running);
        running
            .filter_map(|(part, status)| Some((status.pid?, part)))
            .collect()
    }

    /// The orders that are charged now, each with the process id of its worker.
    async fn in_charge(&self) -> anyhow::Result<Vec<(Uuid, i32)>> {
        let rows = self.query(IN_CHARGE, None).await?;
        let held = rows.iter().filter_map(|row| {
            let history: Option<String> = row.get("history");
            Some((row.get("id"), claimed_by(history?.lines().last()?)?))
        });
        Ok(held.collect())
    }

    async fn query(&self, statement: &str, order: Option<Uuid>) -> anyhow::Result<Vec<Row>> {
        let mut connection = self.sql.lock().await;
        let sql = match connection.take().filter(|sql| !sql.is_closed()) {
            Some(sql) => sql,
            None => servers::sql(&self.system).await?,
        };
        let sql = &*connection.insert(sql);
        let rows = match &order {
            Some(order) => sql.query(statement, &[order]).await,
            None => sql.query(statement, &[]).await,
        };
        rows.context("PostgreSQL does not respond")
    }

    fn locked(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
