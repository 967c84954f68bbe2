//! `package`: the crates for others, as they would be published, and a service that is built with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lens::{Lens, LensConfig, Span, Trace};
use testkit::{Postgres, Redis};
use tokio::process::{Child, Command};

/// Package the crates for others, and build a service with them outside the workspace, whose request must be
/// one trace
#[derive(clap::Args)]
pub(crate) struct Package {}

const CRATES: [&str; 4] = [
    "throughline-settings",
    "throughline-mask",
    "throughline-telemetry",
    "throughline-queue",
];
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest wait for the service to listen, and for its trace.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Each span that is expected, and the one that it is a child of.
const TRACE: [(&str, Option<&str>); 5] = [
    ("POST /parcels", None),
    ("INSERT parcels", Some("POST /parcels")),
    ("send parcels", Some("POST /parcels")),
    ("process parcels", Some("send parcels")),
    ("GET", Some("process parcels")),
];

impl Package {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let target = testkit::workspace().join("target");
        let packages = package(&target).await?;
        let consumer = write_consumer(&target.join("package/consumer"), &packages)?;
        let program = build(&consumer, &target).await?;
        println!("packaged and built in {} s", started.elapsed().as_secs());
        let trace = trace_of_a_request(&program).await?;
        for (name, parent) in TRACE {
            check(&trace, name, parent)?;
            println!("{name}: child of {}", parent.unwrap_or("none"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The folders of the unpacked packages.
async fn package(target: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut cargo = testkit::cargo();
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    cargo.args(CRATES.iter().flat_map(|name| ["--package", name]));
    cargo.arg("--target-dir").arg(target);
    succeeded(cargo.status().await?, "cargo package")?;
    let folder = target.join("package");
    let mut packages = Vec::new();
    for name in CRATES {
        let package = folder.join(format!("{name}-{VERSION}"));
        if package.exists() {
            fs::remove_dir_all(&package)?;
        }
        let mut tar = Command::new("tar");
        tar.arg("-xzf")
            .arg(folder.join(format!("{name}-{VERSION}.crate")));
        succeeded(tar.arg("-C").arg(&folder).status().await?, "tar")?;
        packages.push(package);
    }
    Ok(packages)
}

/// A copy of `xtask/consumer` that takes the crates from the packages. The other dependencies have the
/// versions of the workspace.
fn write_consumer(folder: &Path, packages: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let source = testkit::workspace().join("xtask/consumer");
    fs::create_dir_all(folder.join("src"))?;
    fs::copy(source.join("src/main.rs"), folder.join("src/main.rs"))?;
    fs::copy(testkit::workspace().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    manifest.push_str("\n[patch.crates-io]\n");
    for (name, package) in CRATES.iter().zip(packages) {
        manifest.push_str(&format!("{name} = {{ path = {package:?} }}\n"));
    }
    fs::write(folder.join("Cargo.toml"), manifest)?;
    Ok(folder.to_owned())
}

/// The program. The target folder is the workspace's: dependencies with the same features are compiled once.
async fn build(consumer: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = testkit::cargo();
    cargo.args(["build", "--quiet", "--target-dir"]).arg(target);
    cargo.current_dir(consumer);
    succeeded(cargo.status().await?, "cargo build")?;
    Ok(target.join("debug/consumer"))
}

fn succeeded(status: ExitStatus, what: &str) -> anyhow::Result<()> {
    ensure!(status.success(), "{what} failed");
    Ok(())
}

/// Runs the service, sends it a request, and returns what arrives of its trace.
async fn trace_of_a_request(program: &Path) -> anyhow::Result<Trace> {
    let lens = Lens::start(LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        ..LensConfig::default()
    })
    .await?;
    let postgres = Postgres::start().await?;
    let redis = Redis::start().await?;
    let database = postgres.database().await?;
    let create = "CREATE TABLE parcels (id bigserial PRIMARY KEY)";
    database.connect().await?.batch_execute(create).await?;
    let port = testkit::free_port()?;
    let mut service = Command::new(program);
    service
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("PORT", port.to_string())
        .env("CALLED_URL", lens.page_url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", lens.otlp_http_url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .kill_on_drop(true);
    let mut service = service.spawn().context("cannot start the service")?;
    post(&format!("http://127.0.0.1:{port}/parcels"), &mut service).await?;
    let is_root = |span: &Span| span.parent_span_id.is_none() && span.name == "POST /parcels";
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let traces = lens.store().traces();
        let trace = traces.into_iter().find(|trace| trace.spans.iter().any(is_root));
        let spans = trace.as_ref().map_or(0, |trace| trace.spans.len());
        if let Some(trace) = trace.filter(|_| spans >= TRACE.len()) {
            return Ok(trace);
        }
        ensure!(
            Instant::now() < deadline,
            "only {spans} spans of the trace arrived"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends the request, again until the service listens.
async fn post(url: &str, service: &mut Child) -> anyhow::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let client = reqwest::Client::new();
    loop {
        match client.post(url).send().await {
            Ok(response) => {
                let status = response.status();
                ensure!(status.is_success(), "the service responded with {status}");
                return Ok(());
            }
            Err(error) if !error.is_connect() || Instant::now() > deadline => return Err(error.into()),
            Err(_) => {}
        }
        if let Some(status) = service.try_wait()? {
            bail!("the service ended: {status}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn check(trace: &Trace, name: &str, parent: Option<&str>) -> anyhow::Result<()> {
    let find = |name: &str| {
        let span = trace.spans.iter().find(|span| span.name == name);
        span.with_context(|| format!("the trace has no span {name:?}"))
    };
    let span = find(name)?;
    let expected = parent.map(find).transpose()?.map(|parent| parent.span_id);
    ensure!(
        span.parent_span_id == expected,
        "{name:?} is not a child of {parent:?}"
    );
    Ok(())
}
