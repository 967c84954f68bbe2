//! `test`: what CI runs. One PostgreSQL and one Redis serve all tests of the run.

use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::Context;
use testkit::{Postgres, Redis};
use tokio::time::Instant;

use crate::signals::Signals;

/// Check the format, run clippy with warnings as errors, and run all tests against real servers
#[derive(clap::Args)]
pub(crate) struct Test {}

/// Each step needs the one before it. The product's programs are built for the tests that run them.
const STEPS: [&str; 4] = [
    "fmt --all --check",
    "clippy --locked --workspace --all-targets -- -D warnings",
    testkit::BUILD,
    "test --locked --workspace",
];

/// The features of `throughline-telemetry`. It must compile with each of them alone, and without any.
const FEATURES: [&str; 16] = [
    "",
    "actix",
    "diesel",
    "diesel-async",
    "job",
    "apalis",
    "queue",
    "reqwest",
    "reqwest-middleware",
    "redis",
    "http-proto",
    "http-json",
    "grpc",
    "console",
    "config-file",
    "log",
];
/// How many tests of a program run at the same time.
const TEST_THREADS: &str = "RUST_TEST_THREADS";
/// The crates for others, outside the workspace.
const PACKAGE: &str = "xtask package";
const CHECK_FEATURE: &str = "clippy --locked --package throughline-telemetry --lib --no-default-features";

impl Test {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        // From here on, a signal stops the servers before this process ends.
        let mut signals = Signals::new()?;
        tokio::select! {
            done = steps() => done,
            () = signals.received() => Ok(ExitCode::FAILURE),
        }
    }
}

async fn steps() -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let servers = Servers::start().await?;
    for step in all_steps() {
        println!("== cargo {step}");
        let status = cargo(&step, &servers).await?;
        if !status.success() {
            eprintln!("error: cargo {step} failed");
            return Ok(exit_code(status));
        }
    }
    let duration = Duration::from_secs(start.elapsed().as_secs());
    println!("== all passed in {duration:?}");
    Ok(ExitCode::SUCCESS)
}

/// The features and the packages come last: they rebuild dependencies, which would delay the tests.
fn all_steps() -> impl Iterator<Item = String> {
    let alone = |feature| format!("{CHECK_FEATURE} --features={feature} -- -D warnings");
    let steps = STEPS.into_iter().map(str::to_owned);
    let package = std::iter::once(PACKAGE.to_owned());
    steps.chain(FEATURES.into_iter().map(alone)).chain(package)
}

/// Private servers for this run, unless the environment names existing ones.
struct Servers {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Servers {
    async fn start() -> anyhow::Result<Self> {
        let (mut postgres, mut redis) = (None, None);
        if std::env::var_os(testkit::DATABASE_URL).is_none() {
            postgres = Some(Postgres::start().await?);
        }
        if std::env::var_os(testkit::REDIS_URL).is_none() {
            redis = Some(Redis::start().await?);
        }
        // Tests start them. A prompt before their installation has to come before cargo's output.
        testkit::find_chromedriver()?;
        testkit::find_promtool()?;
        Ok(Self { postgres, redis })
    }
}

async fn cargo(step: &str, servers: &Servers) -> anyhow::Result<ExitStatus> {
    let mut cargo = testkit::cargo();
    cargo.args(step.split(' '));
    if std::env::var_os(TEST_THREADS).is_none() {
        // Tests wait for servers and timers more than they compute.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cargo.env(TEST_THREADS, (cores + 1).to_string());
    }
    if let Some(postgres) = &servers.postgres {
        cargo.env(testkit::DATABASE_URL, postgres.url());
    }
    if let Some(redis) = &servers.redis {
        cargo.env(testkit::REDIS_URL, redis.url());
    }
    cargo.status().await.context("cannot run cargo")
}

/// cargo's exit code; `FAILURE` if a signal killed it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
