//! What became of the orders of this run, from PostgreSQL and the gateway's ledger themselves: the statements
//! of chaos, all the time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use chaos::Ledger;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::load::Load;
use crate::servers;
use crate::system::System;

/// An order that is not final after this time is stuck.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(500);
/// The audit pauses this many times as long as it took, up to a bound: it may not slow what it counts.
const PAUSE_FACTOR: u32 = 10;
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Longer than the faults that a person can inject.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The charges of older orders are forgotten.
const MAX_CHARGES: usize = 200_000;
/// Samples for the chart.
const MAX_SAMPLES: usize = 1_200;

/// The counts at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Numbers {
    /// Orders of this run that were answered with 201.
    pub(crate) accepted: u64,
    #[serde(rename = "final")]
    pub(crate) finals: u64,
    /// Accepted orders that PostgreSQL does not have.
    pub(crate) lost: u64,
    pub(crate) charged_twice: u64,
    /// Final orders whose payment is not settled.
    pub(crate) unsettled: u64,
    /// Not final after [`STUCK_AFTER`].
    pub(crate) stuck: u64,
}

/// What is known of the orders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) numbers: Numbers,
    /// Why the numbers are old, if they are.
    pub(crate) trouble: Option<String>,
    /// How often the gateway charged the watched order.
    pub(crate) charges: Option<usize>,
    /// The time, and how many orders were accepted and final; oldest first.
    pub(crate) samples: VecDeque<(DateTime<Utc>, u64, u64)>,
}

pub(crate) struct Audit {
    system: Arc<System>,
    load: Arc<Load>,
    http: reqwest::Client,
    /// The lowest id that an order of this run can have.
    first: Uuid,
    watched: Mutex<Option<Uuid>>,
    known: Mutex<Known>,
}

/// What the loop holds from one counting to the next.
#[derive(Default)]
struct Progress {
    sql: Option<Client>,
    ledger: Ledger,
    /// Accepted orders that were not found in PostgreSQL yet.
    unseen: Vec<Uuid>,
    /// The most orders that PostgreSQL had: none of a run is deleted.
    most: u64,
}

impl Audit {
    pub(crate) fn new(system: Arc<System>, load: Arc<Load>, http: reqwest::Client) -> Self {
        Self {
            system,
            load,
            http,
            first: lowest_id(Utc::now()),
            watched: Mutex::default(),
            known: Mutex::default(),
        }
    }

    pub(crate) fn known(&self) -> Known {
        self.locked().clone()
    }

    /// From the next counting on, counts the charges of this order.
    pub(crate) fn watch(&self, order: Option<Uuid>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = order;
        self.locked().charges = None;
    }

    /// Counts again and again. Never returns.
    pub(crate) async fn run(&self) {
        let mut progress = Progress::default();
        loop {
            let start = Instant::now();
            let counted = timeout(TIMEOUT, self.count(&mut progress)).await;
            let trouble = match counted {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{error:#}")),
                Err(_) => Some("no response in time".to_owned()),
            };
            if trouble.is_some() {
                progress.sql = None;
            }
            self.locked().trouble = trouble;
            sleep((start.elapsed() * PAUSE_FACTOR).clamp(INTERVAL, MAX_PAUSE)).await;
        }
    }

    async fn count(&self, progress: &mut Progress) -> anyhow::Result<()> {
        progress.unseen.extend(self.load.take_accepted());
        let sql = match progress.sql.take().filter(|sql| !sql.is_closed()) {
            Some(sql) => sql,
            None => servers::sql(&self.system).await?,
        };
        let sql = &*progress.sql.insert(sql);
        let missing = chaos::missing(sql, &progress.unseen).await?;
        progress.unseen = missing;
        let ledger = &mut progress.ledger;
        let open: Vec<&str> = ledger.open().iter().map(String::as_str).collect();
        let counts = chaos::count(sql, self.first, &open, STUCK_AFTER).await?;
        // The ledger is read after the rows: the payment of an order that was final then is settled now.
        let read = ledger.read(&self.http, &self.system.gateway).await;
        ledger.keep(MAX_CHARGES);
        let open = counts
            .open
            .iter()
            .filter(|intent| ledger.open().contains(*intent));
        progress.most = progress.most.max(counts.orders);
        let lost = u64::try_from(progress.unseen.len())? + (progress.most - counts.orders);
        self.publish(
            Numbers {
                accepted: counts.orders + lost,
                finals: counts.finals,
                lost,
                charged_twice: u64::try_from(ledger.charged_twice())?,
                unsettled: counts.unsettled + u64::try_from(open.count())?,
                stuck: counts.stuck,
            },
            ledger,
        );
        read.context("the gateway's ledger cannot be read")
    }

    fn publish(&self, numbers: Numbers, ledger: &Ledger) {
        let watched = *self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.locked();
        known.numbers = numbers;
        known.charges = watched.map(|order| ledger.charges_of(order).len());
        if known.samples.len() >= MAX_SAMPLES {
            known.samples.pop_front();
        }
        let sample = (Utc::now(), numbers.accepted, numbers.finals);
        known.samples.push_back(sample);
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lowest UUIDv7 of this millisecond.
fn lowest_id(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_later_orders_are_higher() {
        let now = Utc::now();
        let first = lowest_id(now);
        assert!(first < Uuid::now_v7() && first > lowest_id(now - chrono::TimeDelta::milliseconds(1)));
    }
}
