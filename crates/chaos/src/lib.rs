//! Orders under faults, and the proof that nothing was lost or charged twice.
//!
//! [`Chaos::run`] starts the product as real processes, two replicas of api and worker, on a PostgreSQL and a Redis of its own. In
//! one round after another it sends orders at a steady rate, whatever becomes of them (an open loop), and injects a fault, each
//! alone and in the last round all together. What it then reports comes from PostgreSQL's rows and from the gateway's ledger, never
//! from what a worker says of itself. When and how often is drawn from a seed: the same seed gives the same schedule.

mod audit;
mod fault;
mod ledger;
mod load;
mod report;
mod round;
mod schedule;
mod shop;

use std::path::PathBuf;
use std::time::Duration;

use testkit::Binaries;

pub use fault::Fault;
pub use report::{Report, Tally};

use round::Round;
use schedule::Seeded;
use shop::Shop;

/// How long the orders of a round may take to reach a final state once its faults are over. A job that was in the hands of a worker
/// that died comes back after 35 s at the most.
const PATIENCE: Duration = Duration::from_secs(120);

/// Parts of the orders that the round of all faults gets, and the rolling restarts; every other round gets one.
const BIG_ROUND: u32 = 3;

/// What to do to the product.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// How many orders, over all rounds.
    pub orders: u32,
    /// Orders a second.
    pub rate: u32,
    /// What every schedule is drawn from.
    pub seed: u64,
    /// The faults; each gets a round of its own, and the last round has all of them together.
    pub faults: Vec<Fault>,
    /// How long to wait for final states at the end of a round.
    pub patience: Duration,
    /// How long a payment takes: so every fault meets attempts in the midst of one.
    pub gateway_latency: Duration,
    /// A worker's program and its environment, in place of the built one: to see that a broken one is caught.
    pub worker: Option<(PathBuf, Vec<(String, String)>)>,
}

impl Chaos {
    /// Every fault.
    #[must_use]
    pub fn full(orders: u32, seed: u64) -> Self {
        Self {
            orders,
            rate: 60,
            seed,
            faults: Fault::ALL.to_vec(),
            patience: PATIENCE,
            gateway_latency: Duration::from_millis(400),
            worker: None,
        }
    }

    /// A few faults and a few hundred orders, for every run of the tests.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        Self {
            orders: 900,
            rate: 40,
            faults: Fault::SHORT.to_vec(),
            ..Self::full(0, seed)
        }
    }

    /// Runs it. Every process that it starts has ended when it returns, and when it is dropped.
    ///
    /// # Errors
    /// When the product cannot be started or looked at; what the product does wrong is in the report.
    pub async fn run(&self, binaries: &Binaries) -> anyhow::Result<Report> {
        let mut shop = Shop::open(self, binaries).await?;
        let mut seeded = Seeded::new(self.seed);
        let mut rounds = Vec::new();
        for (number, (faults, orders)) in self.rounds().into_iter().enumerate() {
            let round = Round {
                number,
                faults,
                orders,
                rate: self.rate,
                patience: self.patience,
            };
            let round = round.run(&shop, &mut seeded).await?;
            eprintln!("{}", round.count(&shop).await?.line());
            rounds.push(round);
        }
        shop.end_work().await?;
        let mut report = Report::new(self.seed, shop.logs());
        for round in &rounds {
            report.rounds.push(round.count(&shop).await?);
        }
        shop.close(report.is_clean()).await?;
        Ok(report)
    }

    /// The faults of each round, and its share of the orders.
    fn rounds(&self) -> Vec<(Vec<Fault>, u32)> {
        let alone = self.faults.iter().map(|fault| vec![*fault]);
        let mut rounds: Vec<(Vec<Fault>, u32)> = std::iter::once(Vec::new())
            .chain(alone)
            .map(|faults| {
                let big = faults.contains(&Fault::RollingRestarts);
                (faults, if big { BIG_ROUND } else { 1 })
            })
            .collect();
        if self.faults.len() > 1 {
            let unplanned = |fault: &&Fault| **fault != Fault::RollingRestarts;
            let together = self.faults.iter().filter(unplanned).copied().collect();
            rounds.push((together, BIG_ROUND));
        }
        let shares: u32 = rounds.iter().map(|(_, share)| share).sum();
        for (_, share) in &mut rounds {
            *share = (self.orders * *share).div_ceil(shares);
        }
        rounds
    }
}
