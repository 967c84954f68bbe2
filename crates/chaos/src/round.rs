//! One round: orders at a steady rate, its faults in the midst of them, and the count of what became of them.

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

impl Round {
    pub(crate) async fn run(self, shop: &Shop, seeded: &mut Seeded) -> anyhow::Result<Tally> {
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
        let healed = healed.into_iter().max();

        audit::settle(shop.database(), self.patience).await?;
        let orders = audit::read(shop.database(), self.number).await?;
        let charges = ledger::read(shop).await?;
        Ok(Tally {
            took: start.elapsed(),
            ..tally(self.name(), &answers, &orders, &charges, healed)
        })
    }

    fn window(&self) -> Duration {
        if self.faults.contains(&Fault::RollingRestarts) {
            ROLLING
        } else {
            (Duration::from_secs(1) * self.orders / self.rate).max(SHORTEST)
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

fn tally(
    name: String,
    answers: &Answers,
    orders: &[Stored],
    charges: &Charges,
    healed: Option<DateTime<Utc>>,
) -> Tally {
    let stored: HashSet<_> = orders.iter().map(|order| order.id).collect();
    let count =
        |which: &dyn Fn(&Stored) -> bool| orders.iter().filter(|order| which(order)).count();
    let charges_of = |order: &Stored| charges.get(&order.id).map_or(&[][..], Vec::as_slice);
    let is_recorded = |order: &Stored, charge: &String| {
        order.status == "completed" && order.payment_id.as_ref() == Some(charge)
    };
    let until = |order: &Stored, from: DateTime<Utc>| {
        let took = order.completed_at.map(|at| at - from);
        took.and_then(|took| took.to_std().ok()).unwrap_or_default()
    };
    let longest = orders.iter().map(|order| until(order, order.created_at));
    let recovery = healed.map(|healed| {
        let before = orders.iter().filter(|order| order.created_at <= healed);
        before
            .map(|order| until(order, healed))
            .max()
            .unwrap_or_default()
    });
    Tally {
        name,
        accepted: answers.accepted.len(),
        refused: answers.refused,
        unanswered: answers.unanswered,
        lost: answers
            .accepted
            .iter()
            .filter(|id| !stored.contains(id))
            .count(),
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
        stuck: count(&|order| order.completed_at.is_none()),
        changed_when_final: count(&|order| order.changed_when_final > 0),
        gave_up: orders.iter().filter_map(Stored::gave_up).collect(),
        most_attempts: orders
            .iter()
            .map(|order| order.attempt)
            .max()
            .unwrap_or_default(),
        longest: longest.max().unwrap_or_default(),
        recovery,
        took: Duration::ZERO,
    }
}
