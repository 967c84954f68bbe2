//! Drills: faults beside a real Prometheus with the rules of deploy/prometheus. Each fault makes exactly
//! its alerts fire, within their time, and they resolve after it; normal load fires nothing.
//!
//! A minute of the rules is a second here ([`FACTOR`]): `for`, ranges, intervals, and the ages that
//! orders and jobs have. The product's own times are not scaled, nor are counts and shares. So a drill
//! shows that a rule sees its fault, waits, and ends; not that its threshold fits an hour of production
//! traffic.

mod dashboards;
mod query;
mod report;
mod rules;
mod steps;
mod stores;
mod watch;

use std::time::Duration;

use fastrand::Rng;
use testkit::{Binaries, Prometheus, Service};
use tokio::time::Instant;

pub use report::{Alert, DrillReport, Outcome};
pub use rules::Doctored;
pub use steps::{Drilled, Step};

use crate::deployment::{Deployment, SHORTENED, Setting};
use crate::load::{self, Mix};
use rules::FACTOR;
use watch::Watch;

/// Orders a second.
const RATE: u32 = 10;
const MIX: Mix = Mix {
    declined: 0.05,
    plans: true,
};
const GATEWAY_LATENCY: Duration = Duration::from_millis(50);
/// Longer than the longest range behind `offset`, 15 minutes of the rules: before, they see no change.
const BASELINE: Duration = Duration::from_secs(17);
/// How long alerts may take to resolve after the fault's end. Budgets burn for an hour of the rules.
const LATEST: Duration = Duration::from_secs(90);
/// How long a step watches after the fault's end, at least: orders and requests that it delayed or failed
/// have fired their alerts then.
const SETTLE: Duration = Duration::from_secs(10);

/// Services export twice as often as the rules require.
const EXPORTS: [Setting; 3] = [
    (Service::Api, "OTEL_METRIC_EXPORT_INTERVAL", "500"),
    (Service::Worker, "OTEL_METRIC_EXPORT_INTERVAL", "500"),
    (Service::Gateway, "OTEL_METRIC_EXPORT_INTERVAL", "500"),
];

/// The parameters of a drill.
#[derive(Debug, Clone)]
pub struct Drill {
    /// The steps of each group have one Prometheus; the next group has a new one, without memory.
    pub groups: Vec<Vec<Step>>,
    /// Broken copies of rules, loaded beside the real ones.
    pub doctored: Vec<Doctored>,
    /// How long normal load precedes the first step, at least 17 s.
    pub normal: Duration,
}

impl Drill {
    /// Every fault, each with a new Prometheus, after the normal load of an hour.
    #[must_use]
    pub fn full() -> Self {
        Self::of(Step::all())
    }

    /// These steps, each with a new Prometheus, after the normal load of an hour.
    #[must_use]
    pub fn of(steps: Vec<Step>) -> Self {
        Self {
            groups: steps.into_iter().map(|step| vec![step]).collect(),
            doctored: Vec::new(),
            normal: Duration::from_secs(3600 / u64::from(FACTOR)),
        }
    }

    /// Two faults with one Prometheus: short enough for every run of the tests.
    #[must_use]
    pub fn short() -> Self {
        Self {
            groups: vec![Step::short()],
            doctored: Vec::new(),
            normal: BASELINE,
        }
    }

    /// Runs all steps. Every process that it starts has ended when it returns or is dropped.
    ///
    /// # Errors
    /// When a process cannot be started, or Prometheus cannot be read. An alert that fires or does not is
    /// no error: it is in the report.
    pub async fn run(&self, binaries: &Binaries, seed: u64) -> anyhow::Result<DrillReport> {
        let settings = [&SHORTENED[..], &EXPORTS].concat();
        let deployment = Deployment::start(binaries, GATEWAY_LATENCY, &settings, None).await?;
        let mut rng = Rng::with_seed(seed);
        let orders = load::send(
            &deployment,
            0,
            RATE * 36_000,
            Duration::from_secs(36_000),
            MIX,
            rng.fork(),
        );
        let stores = stores::send(&deployment);
        let report = tokio::select! {
            report = self.steps(&deployment, &mut rng) => report?,
            _ = orders => anyhow::bail!("the load ended"),
            error = stores => match error? {},
        };
        deployment.stop(report.passed()).await?;
        Ok(report)
    }

    async fn steps(&self, deployment: &Deployment, rng: &mut Rng) -> anyhow::Result<DrillReport> {
        let mut report = DrillReport::new(&self.doctored);
        let lens = deployment.lens.lock().await.url(Service::Lens);
        let waits = rules::waits()?;
        for (number, group) in self.groups.iter().enumerate() {
            let files = rules::files(&lens, &self.doctored)?;
            let prometheus = Prometheus::start(&files, rules::LOOKBACK).await?;
            let mut watch = Watch::new(&deployment.http, &prometheus.url());
            watch.begin().await?;
            let normal = if number == 0 {
                self.normal.max(BASELINE)
            } else {
                BASELINE
            };
            let end = Instant::now() + normal;
            while Instant::now() < end {
                watch.look().await?;
            }
            let seen = watch.take();
            // Later, orders that the fault before delayed still end.
            if number == 0 {
                report.normal = seen;
            }
            for step in group {
                // Within a group, the next step does not wait until budgets no longer burn.
                let settles = group.len() == 1;
                let (start, end) = run_step(step, deployment, rng.fork(), &mut watch, settles).await?;
                let outcome = Outcome::new(step, start, end, watch.take(), &waits);
                eprintln!("{outcome}");
                report.outcomes.push(outcome);
            }
            dashboards::read(&deployment.http, &prometheus.url(), &mut report.panels).await?;
        }
        Ok(report)
    }
}

/// Returns when the fault began and ended.
async fn run_step(
    step: &Step,
    deployment: &Deployment,
    rng: Rng,
    watch: &mut Watch,
    settles: bool,
) -> anyhow::Result<(Instant, Instant)> {
    let start = Instant::now();
    let mut fault = std::pin::pin!(step.fault.inject(deployment, rng, step.lasts));
    let mut ended: Option<Instant> = None;
    loop {
        tokio::select! {
            done = &mut fault, if ended.is_none() => {
                done?;
                ended = Some(Instant::now());
            }
            looked = watch.look() => looked?,
        }
        let Some(end) = ended else {
            continue;
        };
        let alerts: Vec<&str> = step.alerts.iter().map(|(alert, _)| *alert).collect();
        let has_fired = alerts.iter().all(|alert| watch.has_seen(alert));
        let is_quiet = if settles {
            end.elapsed() >= SETTLE && watch.is_quiet(&[])
        } else {
            watch.is_quiet(&alerts)
        };
        if has_fired && is_quiet || end.elapsed() >= LATEST {
            // What has begun to fire meanwhile belongs to this step.
            watch.look().await?;
            return Ok((start, end));
        }
    }
}
