//! One round: orders at a constant rate, the faults while they arrive, and the counts. A round is counted
//! when its orders are final, and again when every worker has stopped, because a paused worker may write
//! late.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fastrand::Rng;
use futures_util::future::try_join_all;
use testkit::wait_for_final_orders;
use tokio::time::{Instant, sleep};

use crate::audit::{self, OrderRow};
use crate::client::{Plan, Seen};
use crate::deployment::Deployment;
use crate::fault::Fault;
use crate::injection::OUTAGE;
use crate::ledger::Ledger;
use crate::load::{self, Mix, Responses};
use crate::operators::{self, Operations};
use crate::report::Tally;

/// About how long the rolling restarts take; the orders are spread over them.
const ROLLING_WINDOW: Duration = Duration::from_secs(45);

/// Long enough for orders before, during and after a fault.
const MIN_WINDOW: Duration = Duration::from_secs(6);

const COUNT_INTERVAL: Duration = Duration::from_millis(100);

const MIX: Mix = Mix {
    declined: 0.1,
    plans: true,
};

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
    pub(crate) name: String,
    pub(crate) recovery_bound: Option<Duration>,
    responses: Responses,
    seen: Vec<Seen>,
    operations: Operations,
    faults_end: Option<DateTime<Utc>>,
    took: Duration,
    stuck: usize,
}

impl Round {
    /// Sends the orders, injects the faults, and waits until every order is final or the timeout is over.
    pub(crate) async fn run(self, deployment: &Deployment, rng: &mut Rng) -> anyhow::Result<FinishedRound> {
        let (window, load) = (self.window(), rng.fork());
        let faults = try_join_all(self.faults.clone().into_iter().map(|fault| {
            let delay = window / 5 + (window / 3).mul_f64(rng.f64());
            let rng = rng.fork();
            async move {
                sleep(delay).await;
                fault.inject(deployment, rng, OUTAGE).await?;
                anyhow::Ok(Utc::now())
            }
        }));
        let faults = operators::beside(deployment, async {
            let ended = faults.await?;
            if ended.is_empty() {
                sleep(window).await;
            }
            Ok(ended.into_iter().max())
        });
        self.run_during(deployment, MIX, load, faults).await
    }

    /// The same, with other faults: a future that ends when they do, and returns that time.
    pub(crate) async fn run_during(
        self,
        deployment: &Deployment,
        mix: Mix,
        rng: Rng,
        faults: impl Future<Output = anyhow::Result<Option<DateTime<Utc>>>>,
    ) -> anyhow::Result<FinishedRound> {
        let (start, started_at) = (Instant::now(), Utc::now());
        let load = load::send(deployment, self.number, self.orders, self.window(), mix, rng);
        let ((responses, clients), faults_end) = tokio::try_join!(async { Ok(load.await) }, faults)?;
        let sql = deployment.database.connect().await?;
        let operations = operators::finished(&sql, started_at, self.final_timeout).await?;
        let stuck = wait_for_final_orders(&sql, COUNT_INTERVAL, self.final_timeout).await?;
        let seen = clients.finish().await;
        // Those that an operator retried last.
        let retried = wait_for_final_orders(&sql, COUNT_INTERVAL, self.final_timeout).await?;
        Ok(FinishedRound {
            number: self.number,
            name: self.name(),
            recovery_bound: self.recovery_bound(),
            responses,
            seen,
            operations,
            faults_end,
            took: start.elapsed(),
            stuck: usize::try_from(stuck.max(retried))?,
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
            [fault] => Some(fault.recovery_bound()),
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
        let sql = deployment.database.connect().await?;
        let lost = audit::missing(&sql, &self.responses.accepted).await?;
        let mut ledger = Ledger::default();
        ledger.read(&deployment.http, &deployment.gateway_url).await?;
        Ok(tally(self, &orders, lost.len(), &ledger))
    }
}

fn tally(round: &FinishedRound, orders: &[OrderRow], lost: usize, ledger: &Ledger) -> Tally {
    let responses = &round.responses;
    let stored: HashSet<_> = orders.iter().map(|order| order.id).collect();
    let names: HashSet<_> = orders.iter().map(|order| &order.name).collect();
    let count = |which: &dyn Fn(&OrderRow) -> bool| orders.iter().filter(|order| which(order)).count();
    let charges_of = |order: &OrderRow| ledger.charges_of(order.id);
    let is_open = |id: &String| ledger.open().contains(id);
    let is_recorded = |order: &OrderRow, charge: &String| {
        order.status == "completed" && order.payment_id.as_ref() == Some(charge)
    };
    let recovery = round.faults_end.map(|end| {
        let before = orders
            .iter()
            .filter(|order| order.created_at <= end && !order.is_retried_after(end));
        before
            .map(|order| order.final_within(end))
            .max()
            .unwrap_or_default()
    });
    let seen = |which: &dyn Fn(&Seen) -> bool| round.seen.iter().filter(|seen| which(seen)).count();
    let by_id: HashMap<_, _> = orders.iter().map(|order| (order.id, order)).collect();
    let missed = |seen: &Seen| {
        let order = by_id.get(&seen.order).filter(|order| !order.is_stuck());
        // After a failure that a client saw, an operator may have retried the order.
        let has_seen = |order: &&OrderRow| {
            let got = seen.status.as_deref();
            got == Some(&order.status) || got == Some("failed") && order.is_retried()
        };
        matches!(seen.plan, Plan::Follow { .. }) && !order.is_none_or(has_seen)
    };
    let cancelled: HashSet<_> = round
        .seen
        .iter()
        .filter(|seen| seen.is_cancelled)
        .map(|seen| seen.order)
        .collect();
    Tally {
        name: round.name.clone(),
        accepted: responses.accepted.len(),
        refused: responses.refused,
        no_response: responses.missing,
        lost: lost + seen(&|seen| seen.is_not_found && stored.contains(&seen.order)),
        missed: seen(&missed),
        cancelled_broken: count(&|order| {
            let is_cancelled = order.status == "cancelled";
            is_cancelled && !charges_of(order).is_empty() || !is_cancelled && cancelled.contains(&order.id)
        }),
        followed: seen(&|seen| matches!(seen.plan, Plan::Follow { .. })),
        cancelled: cancelled.len(),
        retried: seen(&|seen| seen.is_retried),
        operations: round.operations.all,
        operations_unfinished: round.operations.unfinished,
        retried_together: round.operations.retried,
        cancelled_together: round.operations.cancelled,
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
            let is_open = order.payment_id.as_ref().is_some_and(is_open);
            order.is_unsettled || !order.is_stuck() && is_open
        }),
        stuck: round.stuck.max(count(&OrderRow::is_stuck)),
        changed_when_final: count(&|order| order.changed_when_final > 0),
        history_broken: count(&OrderRow::has_broken_history),
        gave_up: orders.iter().filter_map(OrderRow::gave_up).collect(),
        most_attempts: orders.iter().map(|order| order.attempt).max().unwrap_or_default(),
        longest: audit::longest(orders.iter()),
        recovery,
        recovery_bound: round.recovery_bound,
        took: round.took,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn order(status: &str) -> OrderRow {
        let final_at = Utc::now();
        OrderRow {
            id: Uuid::now_v7(),
            name: "round 1, client 1".to_owned(),
            status: status.to_owned(),
            has_payment: true,
            payment_status: "cancelled".to_owned(),
            payment_id: None,
            failure_code: None,
            failure_detail: None,
            attempt: 1,
            created_at: Utc::now(),
            completed_at: (status != "pending").then_some(final_at),
            history: format!("[{},1,\"pending\",\"{status}\"]", final_at.timestamp_micros()),
            is_unsettled: false,
            changed_when_final: 0,
        }
    }

    fn tally_of(order: &OrderRow, ledger: &Ledger, see: impl FnOnce(&mut Seen)) -> Tally {
        let mut seen = Seen {
            order: order.id,
            plan: Plan::Nothing,
            status: None,
            is_cancelled: false,
            is_retried: false,
            is_not_found: false,
        };
        see(&mut seen);
        let round = FinishedRound {
            number: 1,
            name: "none".to_owned(),
            recovery_bound: None,
            responses: Responses::default(),
            seen: vec![seen],
            operations: Operations::default(),
            faults_end: None,
            took: Duration::ZERO,
            stuck: 0,
        };
        tally(&round, std::slice::from_ref(order), 0, ledger)
    }

    #[test]
    fn a_client_that_does_not_get_the_final_state_of_its_order_missed_it() {
        let follow = Plan::Follow {
            stream: true,
            retry: false,
        };
        for (status, got, missed) in [
            ("completed", Some("completed"), 0),
            ("completed", None, 1),
            ("completed", Some("failed"), 1),
            // Stuck: nothing was missed.
            ("pending", None, 0),
        ] {
            let tally = tally_of(&order(status), &Ledger::default(), |seen| {
                seen.plan = follow;
                seen.status = got.map(str::to_owned);
            });
            assert_eq!(tally.missed, missed, "{status}, {got:?}");
        }
    }

    #[test]
    fn an_order_that_is_cancelled_and_charged_and_one_that_is_not_cancelled_after_a_204_are_counted() {
        let cancelled = order("cancelled");
        let charged = Ledger::of_charge(cancelled.id);
        let sound = tally_of(&cancelled, &Ledger::default(), |seen| seen.is_cancelled = true);
        assert!(sound.is_clean(), "{sound:?}");
        let broken = tally_of(&cancelled, &charged, |_| {});
        assert_eq!(broken.cancelled_broken, 1);
        let broken = tally_of(&order("completed"), &Ledger::default(), |seen| {
            seen.is_cancelled = true;
        });
        assert_eq!(broken.cancelled_broken, 1);
        assert!(!broken.is_clean());
    }

    #[test]
    fn a_final_order_whose_history_ends_elsewhere_is_counted() {
        let mut order = order("completed");
        order.history = order.history.replace("completed", "failed");
        let tally = tally_of(&order, &Ledger::default(), |_| {});
        assert!(tally.history_broken == 1 && !tally.is_clean(), "{tally:?}");
    }

    #[test]
    fn an_order_that_the_api_does_not_find_is_lost() {
        let tally = tally_of(&order("completed"), &Ledger::default(), |seen| {
            seen.is_not_found = true;
        });
        assert_eq!(tally.lost, 1);
    }
}
