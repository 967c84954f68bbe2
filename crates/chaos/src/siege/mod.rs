//! One api under attack: slow clients, floods and oversized requests, all at once and at bounded rates. An
//! ordinary client creates and reads orders meanwhile; the report has its latencies and the api's memory.

mod attack;
mod issuer;

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use testkit::process::{memory, raise_file_limit};
use testkit::{Binaries, Postgres, Redis, Service, Stack};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use attack::Attack;
use attack::Target;
use issuer::Issuer;

/// Requests per second of the ordinary client.
const ORDINARY_RATE: u32 = 20;
/// Upper bound of its 99th percentile.
const MAX_P99: Duration = Duration::from_millis(50);
/// What attackers without a token and with one may make the api hold beyond its idle size, in bytes.
const MAX_GROWTH: u64 = (64 + 128) * 1_000_000;

/// The parameters of a run.
#[derive(Debug, Clone)]
pub struct Siege {
    /// How long the attack lasts.
    pub lasts: Duration,
    /// The attacks, all at once.
    pub attacks: Vec<Attack>,
}

/// What was measured.
#[derive(Debug)]
pub struct SiegeReport {
    /// What the attackers sent: name, and requests or connections.
    pub attacks: Vec<(&'static str, u64)>,
    /// Latencies of the ordinary client's requests, sorted.
    pub latencies: Vec<Duration>,
    /// Its requests that failed.
    pub failures: Vec<String>,
    /// The api's resident memory before the attack and at its peak, in bytes.
    pub idle: u64,
    /// See `idle`.
    pub peak: u64,
}

impl Siege {
    /// Attacks an api on private servers. Every process that it starts has ended when it returns or is
    /// dropped.
    ///
    /// # Errors
    /// When a process cannot be started, or the api ends. A broken bound is no error: it is in the report.
    pub async fn run(&self, binaries: &Binaries) -> anyhow::Result<SiegeReport> {
        raise_file_limit()?;
        let (postgres, redis) = (Postgres::start().await?, Redis::start().await?);
        let database = postgres.database().await?;
        let issuer = Issuer::start().await?;
        let api = Stack::builder(database.url(), redis.url())
            .binaries(binaries.clone())
            .only(&[Service::Api])
            .env(Service::Api, "AUTH", "jwt")
            .env(Service::Api, "JWT_JWKS_URL", issuer.url())
            .start()
            .await?;
        let pids = api.pids().find(|(service, _)| *service == Service::Api);
        let pid = pids.and_then(|(_, pid)| pid).context("the api has no process")?;
        let mut ordinary = Ordinary::new(&api.url(Service::Api), issuer.token("ordinary"))?;
        // What the first requests allocate is not growth.
        ordinary.run_for(Duration::from_secs(3)).await?;
        ordinary.forget();
        let idle = memory(pid, "VmRSS").context("the api has ended")?;

        let target = Target::new(&api.url(Service::Api), &issuer)?;
        let attackers = attack::start(&target, &self.attacks);
        ordinary.run_for(self.lasts).await?;
        let sent = attackers.stop();
        let peak = memory(pid, "VmHWM").context("the api has ended")?;
        if let Some(end) = api.ended()? {
            anyhow::bail!("the api ended: {end}");
        }
        ordinary.latencies.sort();
        Ok(SiegeReport {
            attacks: self
                .attacks
                .iter()
                .map(|attack| attack.name())
                .zip(sent)
                .collect(),
            latencies: ordinary.latencies,
            failures: ordinary.failures,
            idle,
            peak,
        })
    }
}

impl SiegeReport {
    /// The latency that 99 of 100 requests of the ordinary client did not exceed.
    pub fn p99(&self) -> Duration {
        let index = (self.latencies.len() * 99).div_ceil(100).saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or(Duration::MAX)
    }

    /// Whether the ordinary client was served, and the api's memory stayed within its bound.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty() && self.is_bounded()
    }

    /// Whether the api's memory stayed within its bound.
    pub fn is_bounded(&self) -> bool {
        self.growth() <= MAX_GROWTH
    }

    /// Whether the ordinary client was served in time.
    pub fn is_timely(&self) -> bool {
        self.p99() <= MAX_P99
    }

    fn growth(&self) -> u64 {
        self.peak.saturating_sub(self.idle)
    }
}

impl fmt::Display for SiegeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, sent) in &self.attacks {
            writeln!(f, "{name:<28} {sent:>8}")?;
        }
        let (count, p99) = (self.latencies.len(), self.p99());
        writeln!(
            f,
            "ordinary client: {count} requests, p99 {p99:.1?} (at most {MAX_P99:?})"
        )?;
        writeln!(f, "failures: {}", self.failures.len())?;
        for failure in self.failures.iter().take(5) {
            writeln!(f, "  {failure}")?;
        }
        let megabytes = |bytes: u64| bytes / 1_000_000;
        let (growth, idle, most) = (
            megabytes(self.growth()),
            megabytes(self.idle),
            megabytes(MAX_GROWTH),
        );
        writeln!(f, "memory: {growth} MB beyond {idle} MB (at most {most} MB)")
    }
}

/// A client that creates orders and reads them, at a constant rate whatever the responses.
struct Ordinary {
    url: String,
    token: String,
    http: reqwest::Client,
    latencies: Vec<Duration>,
    failures: Vec<String>,
}

impl Ordinary {
    fn new(url: &str, token: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(15))
            .build()?;
        Ok(Self {
            url: format!("{url}/api/orders"),
            token,
            http,
            latencies: Vec::new(),
            failures: Vec::new(),
        })
    }

    async fn run_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let mut ticks = interval(Duration::from_secs(1) / ORDINARY_RATE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut requests = JoinSet::new();
        let end = Instant::now() + time;
        let mut creates = true;
        while Instant::now() < end {
            ticks.tick().await;
            let request = if creates {
                let body = json!({ "product_name": "Widget", "amount": "9.99" });
                self.http.post(&self.url).json(&body)
            } else {
                self.http.get(format!("{}?limit=5", self.url))
            };
            creates = !creates;
            let request = request.bearer_auth(&self.token);
            requests.spawn(async move {
                let start = Instant::now();
                let response = request.send().await.and_then(reqwest::Response::error_for_status);
                let body = match response {
                    Ok(response) => response.bytes().await,
                    Err(error) => Err(error),
                };
                body.map(|_| start.elapsed())
                    .map_err(|error| format!("{error:?}"))
            });
        }
        while let Some(done) = requests.join_next().await {
            match done? {
                Ok(latency) => self.latencies.push(latency),
                Err(failure) => self.failures.push(failure),
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.latencies.clear();
        self.failures.clear();
    }
}
