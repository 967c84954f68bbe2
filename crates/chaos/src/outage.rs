//! A long outage of the payment gateway, with orders arriving all the while: they wait, none fails, and the
//! gateway gets few requests more than it needs.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::Utc;
use fastrand::Rng;
use serde_json::{Value, json};
use testkit::Binaries;
use tokio::time::sleep;

use crate::audit;
use crate::deployment::Deployment;
use crate::load::Mix;
use crate::report::Report;
use crate::round::Round;

const LATENCY: Duration = Duration::from_millis(50);
/// A payment is created and confirmed.
const REQUESTS_PER_PAYMENT: f64 = 2.0;
const MAX_AMPLIFICATION: f64 = 1.2;
/// Orders without a payment do not wait for the gateway; generous because the machine may be busy.
const MAX_UNPAID_TIME: Duration = Duration::from_secs(5);
/// The next probe follows within 30 s of the outage's end, and the orders within 75 s of the probe.
const RECOVERY_BOUND: Duration = Duration::from_secs(105);
const FINAL_TIMEOUT: Duration = Duration::from_secs(600);

/// What the gateway does during an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageKind {
    /// It responds 500.
    Errors,
    /// It does not respond.
    Hangs,
    /// It refuses connections.
    Refuses,
    /// It rejects the service's key.
    RejectsKey,
    /// It accepts half of the requests that are necessary, and responds 429 to others.
    LimitsRate,
}

/// Parses the word of `--outage`.
impl FromStr for OutageKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "500" => Ok(Self::Errors),
            "hang" => Ok(Self::Hangs),
            "refused" => Ok(Self::Refuses),
            "wrong-key" => Ok(Self::RejectsKey),
            "429" => Ok(Self::LimitsRate),
            _ => Err("takes 500, hang, refused, wrong-key, 429".to_owned()),
        }
    }
}

/// The parameters of an outage.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// What the gateway does.
    pub kind: OutageKind,
    /// How long.
    pub lasts: Duration,
    /// Orders a second, half of them with a payment.
    pub rate: u32,
    /// The seed of the schedule.
    pub seed: u64,
}

/// The result of an outage.
#[derive(Debug, Clone)]
pub struct OutageReport {
    /// The counts, as of a round of chaos.
    pub report: Report,
    /// Orders with a payment, and those of them that are completed.
    pub paid: (usize, usize),
    /// Requests to the gateway.
    pub requests: u64,
    /// The longest time from the creation of an order without a payment to its final state.
    pub longest_unpaid: Duration,
}

impl Outage {
    /// Runs it on private processes, and stops them.
    ///
    /// # Errors
    /// As [`Chaos::run`](crate::Chaos::run).
    pub async fn run(self, binaries: &Binaries) -> anyhow::Result<OutageReport> {
        let mut deployment = Deployment::start(binaries, LATENCY, &[], None).await?;
        let lasts = u32::try_from(self.lasts.as_secs())?;
        let round = Round {
            number: 0,
            faults: Vec::new(),
            orders: self.rate * lasts,
            rate: self.rate,
            final_timeout: FINAL_TIMEOUT,
        };
        let mix = Mix {
            declined: 0.0,
            plans: false,
        };
        let outage = async {
            self.begin(&deployment).await?;
            sleep(self.lasts).await;
            self.end(&deployment).await?;
            Ok(Some(Utc::now()))
        };
        let rng = Rng::with_seed(self.seed);
        let mut round = round.run_during(&deployment, mix, rng, outage).await?;
        round.name = format!("{} for {} s", self.kind, self.lasts.as_secs());
        round.recovery_bound = Some(RECOVERY_BOUND);
        deployment.stop_apis_and_workers().await?;
        let mut report = Report::new(self.seed, &deployment.logs);
        report.rounds.push(round.count(&deployment).await?);
        let orders = audit::read(&deployment.database, 0).await?;
        let (paid, unpaid): (Vec<_>, Vec<_>) = orders.iter().partition(|order| order.has_payment);
        let completed = paid.iter().filter(|order| order.status == "completed").count();
        let report = OutageReport {
            paid: (paid.len(), completed),
            requests: deployment.gateway_requests().await?,
            longest_unpaid: audit::longest(unpaid.into_iter()),
            report,
        };
        deployment.stop(report.is_clean()).await?;
        Ok(report)
    }

    async fn begin(self, deployment: &Deployment) -> anyhow::Result<()> {
        match self.faults() {
            Some(faults) => deployment.set_gateway_faults(faults).await,
            None => {
                deployment.gateway_endpoint.cut().await;
                Ok(())
            }
        }
    }

    async fn end(self, deployment: &Deployment) -> anyhow::Result<()> {
        deployment.set_gateway_faults(json!({})).await?;
        deployment.gateway_endpoint.restore().await
    }

    fn faults(self) -> Option<Value> {
        match self.kind {
            OutageKind::Errors => Some(json!({ "error_rate": 1.0 })),
            OutageKind::Hangs => Some(json!({ "hang_rate": 1.0 })),
            OutageKind::Refuses => None,
            OutageKind::RejectsKey => Some(json!({ "unauthorized": true })),
            // Half of the orders send two requests each.
            OutageKind::LimitsRate => Some(json!({ "rate_limit_per_second": (self.rate / 2).max(1) })),
        }
    }
}

impl OutageReport {
    /// Requests per request that was necessary.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        let as_number = |count: u64| u32::try_from(count).map_or(f64::INFINITY, f64::from);
        let (paid, _) = self.paid;
        as_number(self.requests) / (as_number(paid.try_into().unwrap_or(u64::MAX)) * REQUESTS_PER_PAYMENT)
    }

    /// Whether every promise holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let (paid, completed) = self.paid;
        self.report.is_clean()
            && self.report.is_timely()
            && paid == completed
            && self.amplification() <= MAX_AMPLIFICATION
            && self.longest_unpaid <= MAX_UNPAID_TIME
    }
}

impl fmt::Display for OutageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (paid, completed) = self.paid;
        write!(f, "{}", self.report)?;
        writeln!(f, "{completed} of {paid} orders with a payment are completed.")?;
        let (requests, amplification) = (self.requests, self.amplification());
        writeln!(
            f,
            "The gateway got {requests} requests, {amplification:.2} times as many as necessary (at most \
             {MAX_AMPLIFICATION})."
        )?;
        let longest = self.longest_unpaid.as_secs_f64();
        let bound = MAX_UNPAID_TIME.as_secs();
        writeln!(
            f,
            "Orders without a payment were final within {longest:.1} s (at most {bound} s)."
        )
    }
}

impl fmt::Display for OutageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Errors => "gateway 500",
            Self::Hangs => "gateway hangs",
            Self::Refuses => "gateway refuses",
            Self::RejectsKey => "wrong key",
            Self::LimitsRate => "gateway 429",
        })
    }
}
