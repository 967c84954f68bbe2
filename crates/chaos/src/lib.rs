//! Orders under faults, and the proof that nothing was lost or charged twice.
//!
//! [`Chaos::run`] starts the product as real processes, two replicas of api and worker, on a private
//! PostgreSQL and Redis. In each round it sends orders at a constant rate, independent of the responses (an
//! open loop). The first round has no fault, each of the next has one, and the last has all but the rolling
//! restarts together; a run with one fault has its round alone. The report comes from PostgreSQL's rows and
//! the gateway's ledger, never from a worker's own reports. One seed gives one schedule. [`Siege`] attacks
//! one api instead, and measures what an ordinary client notices. [`Drill`] puts a Prometheus beside the
//! product, and checks which alerts each fault fires.

mod audit;
mod balancer;
mod client;
mod deployment;
mod drill;
mod fault;
mod history;
mod injection;
mod ledger;
mod load;
mod operators;
mod outage;
mod report;
mod round;
mod siege;

use std::path::PathBuf;
use std::time::Duration;

use fastrand::Rng;
use testkit::Binaries;

pub use audit::{Counts, count, missing};
pub use drill::{Alert, Doctored, Drill, DrillReport, Drilled, Outcome, Step};
pub use fault::Fault;
pub use injection::{TERMINATE_CONNECTIONS, WAITING_JOBS};
pub use ledger::Ledger;
pub use outage::{Outage, OutageKind, OutageReport};
pub use report::{Report, Tally};
pub use siege::{Attack, Siege, SiegeReport};

use deployment::{Deployment, SHORTENED};
use round::Round;

/// A job of a killed worker is redelivered after 35 s at most.
const FINAL_TIMEOUT: Duration = Duration::from_secs(120);

/// The last round and that of the rolling restarts get this many times the orders of another round.
const BIG_ROUND: u32 = 3;

/// The parameters of a run.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// Orders over all rounds.
    pub orders: u32,
    /// Orders a second.
    pub rate: u32,
    /// The seed of the schedule.
    pub seed: u64,
    /// Each fault gets one round; the last round has all but the rolling restarts together.
    pub faults: Vec<Fault>,
    /// How long a round waits for final states after its faults.
    pub final_timeout: Duration,
    /// How long a payment takes. Long enough that every fault hits attempts during a payment.
    pub gateway_latency: Duration,
    /// A program to run as the worker, with additional environment variables: proves that a broken worker is
    /// detected.
    pub worker: Option<(PathBuf, Vec<(String, String)>)>,
}

impl Chaos {
    /// A run with every fault.
    #[must_use]
    pub fn full(orders: u32, seed: u64) -> Self {
        Self {
            orders,
            rate: 60,
            seed,
            faults: Fault::ALL.to_vec(),
            final_timeout: FINAL_TIMEOUT,
            gateway_latency: Duration::from_millis(400),
            worker: None,
        }
    }

    /// A few faults and 900 orders: short enough for every run of the tests.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        Self {
            orders: 900,
            rate: 40,
            faults: Fault::SHORT.to_vec(),
            ..Self::full(0, seed)
        }
    }

    /// Runs all rounds. Every process that it starts has ended when it returns or is dropped.
    ///
    /// # Errors
    /// When a process cannot be started or PostgreSQL or the gateway cannot be read. A broken promise is no
    /// error: it is in the report.
    pub async fn run(&self, binaries: &Binaries) -> anyhow::Result<Report> {
        let worker = self.worker.as_ref();
        let mut deployment = Deployment::start(binaries, self.gateway_latency, &SHORTENED, worker).await?;
        let mut rng = Rng::with_seed(self.seed);
        let mut rounds = Vec::new();
        for (number, (faults, orders)) in self.rounds().into_iter().enumerate() {
            let round = Round {
                number,
                faults,
                orders,
                rate: self.rate,
                final_timeout: self.final_timeout,
            };
            let round = round.run(&deployment, &mut rng).await?;
            eprintln!("{}", round.count(&deployment).await?.line());
            rounds.push(round);
        }
        deployment.stop_apis_and_workers().await?;
        let mut report = Report::new(self.seed, &deployment.logs);
        for round in &rounds {
            report.rounds.push(round.count(&deployment).await?);
        }
        deployment.stop(report.is_clean()).await?;
        Ok(report)
    }

    /// The faults of each round, and its share of the orders.
    fn rounds(&self) -> Vec<(Vec<Fault>, u32)> {
        let alone = self.faults.iter().map(|fault| {
            let big = *fault == Fault::RollingRestarts;
            (vec![*fault], if big { BIG_ROUND } else { 1 })
        });
        let mut rounds: Vec<(Vec<Fault>, u32)> = alone.collect();
        if self.faults.len() > 1 {
            let unplanned = |fault: &&Fault| **fault != Fault::RollingRestarts;
            let together = self.faults.iter().filter(unplanned).copied().collect();
            rounds.insert(0, (Vec::new(), 1));
            rounds.push((together, BIG_ROUND));
        }
        let shares: u32 = rounds.iter().map(|(_, share)| share).sum();
        for (_, share) in &mut rounds {
            *share = (self.orders * *share).div_ceil(shares);
        }
        rounds
    }
}
