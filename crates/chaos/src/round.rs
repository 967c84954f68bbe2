//! One round: orders at a steady rate, its faults in the midst of them, and the count of what became of them. It is counted when
//! its orders are final, and once more when every worker has ended: one that was paused may write late.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use crate::audit::{self, Stored};
use crate::fault::Fault;
use crate::ledger::{self, Charges};
use crate::load::{self, Answers};
use crate::report::Tally;
use crate::schedule::Seeded;
use crate::shop::Shop;

/// Rolling restarts take so long that the orders have to be spread over them.
const ROLLING: Duration = Duration::from_secs(45);

/// Orders come before, during and after a fault.
const SHORTEST: Duration = Duration::from_secs(6);

pub(crate) struct Round {
    pub(crate) number: usize,
    pub(crate) faults: Vec<Fault>,
    pub(crate) orders: u32,
    pub(crate) rate: u32,
    pub(crate) patience: Duration,
}

/// A round that is over.
pub(crate) struct Ran {
    number: usize,
    name: String,
    bound: Option<Duration>,
    answers: Answers,
    healed: Option<DateTime<Utc>>,
    took: Duration,
    stuck: usize,
}

impl Round {
    /// Sends the orders, injects the faults, and waits until every order is final or patience is over.
    pub(crate) async fn run(self, shop: &Shop, seeded: &mut Seeded) -> anyhow::Result<Ran> {
        let start = Instant::now();
        let window = self.window();
        let load = load::send(shop, self.number, self.orders, window, seeded.fork());
        let faults = try_join_all(self.faults.iter().map(|fault| {
            let delay = window / 5 + seeded.up_to(window / 3);
            let seeded = seeded.fork();
            async move {
                sleep(delay).await;
                fault.inject(shop, seeded).await?;
                anyhow::Ok(Utc::now())
            }
        }));
        let (answers, healed) = tokio::try_join!(async { Ok(load.await) }, faults)?;
        audit::settle(shop.database(), self.patience).await?;
        let orders = audit::read(shop.database(), self.number).await?;
        Ok(Ran {
            number: self.number,
            name: self.name(),
            bound: self.bound(),
            answers,
            healed: healed.into_iter().max(),
            took: start.elapsed(),
            stuck: orders.iter().filter(|order| order.is_stuck()).count(),
        })
    }

    fn window(&self) -> Duration {
        if self.faults.contains(&Fault::RollingRestarts) {
            ROLLING
        } else {
            (Duration::from_secs(1) * self.orders / self.rate).max(SHORTEST)
        }
    }

    /// Faults that meet have none: one may hold up the recovery from another.
    fn bound(&self) -> Option<Duration> {
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

impl Ran {
    /// What has become of its orders by now.
    pub(crate) async fn count(&self, shop: &Shop) -> anyhow::Result<Tally> {
        let orders = audit::read(shop.database(), self.number).await?;
        Ok(tally(self, &orders, &ledger::read(shop).await?))
    }
}

fn tally(round: &Ran, orders: &[Stored], charges: &Charges) -> Tally {
    let answers = &round.answers;
    let stored: HashSet<_> = orders.iter().map(|order| order.id).collect();
    let count = |which: &dyn Fn(&Stored) -> bool| orders.iter().filter(|order| which(order)).count();
    let charges_of = |order: &Stored| charges.get(&order.id).map_or(&[][..], Vec::as_slice);
    let is_recorded = |order: &Stored, charge: &String| {
        order.status == "completed" && order.payment_id.as_ref() == Some(charge)
    };
    let until = |order: &Stored, from: DateTime<Utc>| {
        let took = order.completed_at.map(|at| at - from);
        took.and_then(|took| took.to_std().ok()).unwrap_or_default()
    };
    let longest = orders.iter().map(|order| until(order, order.created_at));
    let recovery = round.healed.map(|healed| {
        let before = orders.iter().filter(|order| order.created_at <= healed);
        before.map(|order| until(order, healed)).max().unwrap_or_default()
    });
    Tally {
        name: round.name.clone(),
        accepted: answers.accepted.len(),
        refused: answers.refused,
        unanswered: answers.unanswered,
        lost: answers.accepted.iter().filter(|id| !stored.contains(id)).count(),
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
        stuck: round.stuck.max(count(&Stored::is_stuck)),
        changed_when_final: count(&|order| order.changed_when_final > 0),
        gave_up: orders.iter().filter_map(Stored::gave_up).collect(),
        most_attempts: orders.iter().map(|order| order.attempt).max().unwrap_or_default(),
        longest: longest.max().unwrap_or_default(),
        recovery,
        bound: round.bound,
        took: round.took,
    }
}
