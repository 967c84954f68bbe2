//! One round: orders at a constant rate, the faults while they arrive, and the counts. A round is counted
//! when its orders are final, and again when every worker has stopped, because a paused worker may write
//! late.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastrand::Rng;
use futures_util::future::try_join_all;
use testkit::wait_for_final_orders;
use tokio::time::{Instant, sleep};

use crate::audit::{self, OrderRow};
use crate::deployment::Deployment;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::load::{self, Responses};
use crate::report::Tally;

/// About how long the rolling restarts take; the orders are spread over them.
const ROLLING_WINDOW: Duration = Duration::from_secs(45);

/// Long enough for orders before, during and after a fault.
const MIN_WINDOW: Duration = Duration::from_secs(6);

const COUNT_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Round {
    pub(crate) number: usize,
    pub(crate) faults: Vec<Fault>,
    pub(crate) orders: u32,
    pub(crate) rate: u32,
    /// How long to wait for final states after the load and the faults.
    pub(crate) final_timeout: Duration,
}

/// A round that has ended, to be counted.
pub(crate) struct FinishedRound {
    number: usize,
    name: String,
    recovery_bound: Option<Duration>,
    responses: Responses,
    faults_end: Option<DateTime<Utc>>,
    took: Duration,
    stuck: usize,
}

impl Round {
    /// Sends the orders, injects the faults, and waits until every order is final or the timeout is over.
    pub(crate) async fn run(self, deployment: &Deployment, rng: &mut Rng) -> anyhow::Result<FinishedRound> {
        let start = Instant::now();
        let window = self.window();
        let load = load::send(deployment, self.number, self.orders, window, rng.fork());
        let faults = try_join_all(self.faults.iter().map(|fault| {
            let delay = window / 5 + (window / 3).mul_f64(rng.f64());
            let rng = rng.fork();
            async move {
                sleep(delay).await;
                fault.inject(deployment, rng).await?;
                anyhow::Ok(Utc::now())
            }
        }));
        let (responses, fault_ends) = tokio::try_join!(async { Ok(load.await) }, faults)?;
        let sql = deployment.database.connect().await?;
        wait_for_final_orders(&sql, COUNT_INTERVAL, self.final_timeout).await?;
        let orders = audit::read(&deployment.database, self.number).await?;
        Ok(FinishedRound {
            number: self.number,
            name: self.name(),
            recovery_bound: self.recovery_bound(),
            responses,
            faults_end: fault_ends.into_iter().max(),
            took: start.elapsed(),
            stuck: orders.iter().filter(|order| order.is_stuck()).count(),
        })
    }

    fn window(&self) -> Duration {
        if self.faults.contains(&Fault::RollingRestarts) {
            ROLLING_WINDOW
        } else {
            (Duration::from_secs(1) * self.orders / self.rate).max(MIN_WINDOW)
        }
    }

    /// Overlapping faults have no bound: one may delay the recovery from another.
    fn recovery_bound(&self) -> Option<Duration> {
        match self.faults.as_slice() {
            [fault] => fault.recovery_bound(),
            _ => None,
        }
    }

    fn name(&self) -> String {
        match self.faults.as_slice() {
            [] => "none".to_owned(),
            [fault] => fault.to_string(),
            all => format!("{} together", all.len()),
        }
    }
}

impl FinishedRound {
    /// Counts the orders as they are now.
    pub(crate) async fn count(&self, deployment: &Deployment) -> anyhow::Result<Tally> {
        let orders = audit::read(&deployment.database, self.number).await?;
        Ok(tally(self, &orders, &Ledger::read(deployment).await?))
    }
}

fn tally(round: &FinishedRound, orders: &[OrderRow], ledger: &Ledger) -> Tally {
    let responses = &round.responses;
    let stored: HashSet<_> = orders.iter().map(|order| order.id).collect();
    let names: HashSet<_> = orders.iter().map(|order| &order.name).collect();
    let count = |which: &dyn Fn(&OrderRow) -> bool| orders.iter().filter(|order| which(order)).count();
    let charges_of = |order: &OrderRow| ledger.charges_of(order.id);
    let is_open = |id: &String| ledger.is_open(id);
    let is_recorded = |order: &OrderRow, charge: &String| {
        order.status == "completed" && order.payment_id.as_ref() == Some(charge)
    };
    let until = |order: &OrderRow, from: DateTime<Utc>| {
        let took = order.completed_at.map(|at| at - from);
        took.and_then(|took| took.to_std().ok()).unwrap_or_default()
    };
    let longest = orders.iter().map(|order| until(order, order.created_at));
    let recovery = round.faults_end.map(|end| {
        let before = orders.iter().filter(|order| order.created_at <= end);
        before.map(|order| until(order, end)).max().unwrap_or_default()
    });
    Tally {
        name: round.name.clone(),
        accepted: responses.accepted.len(),
        refused: responses.refused,
        no_response: responses.missing,
        lost: responses
            .accepted
            .iter()
            .filter(|id| !stored.contains(id))
            .count(),
        unaccepted: responses.unaccepted,
        created_twice: orders.len() - names.len(),
        charged_twice: count(&|order| charges_of(order).len() > 1),
        unrecorded: count(&|order| {
            let charges = charges_of(order);
            charges.iter().any(|charge| !is_recorded(order, charge))
        }),
        unpaid: count(&|order| {
            order.payment_status == "charged"
                && !order
                    .payment_id
                    .as_ref()
                    .is_some_and(|id| charges_of(order).contains(id))
        }),
        unsettled: count(&|order| {
            let is_pending = order.payment_status == "pending";
            !order.is_stuck() && (is_pending || order.payment_id.as_ref().is_some_and(is_open))
        }),
        stuck: round.stuck.max(count(&OrderRow::is_stuck)),
        changed_when_final: count(&|order| order.changed_when_final > 0),
        gave_up: orders.iter().filter_map(OrderRow::gave_up).collect(),
        most_attempts: orders.iter().map(|order| order.attempt).max().unwrap_or_default(),
        longest: longest.max().unwrap_or_default(),
        recovery,
        recovery_bound: round.recovery_bound,
        took: round.took,
    }
}
