//! Runs the programs of `xtask/consumer` against real servers, and checks their traces.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lens::{Lens, LensConfig, Span, Trace};
use testkit::{Database, Postgres, Redis};
use tokio::process::{Child, Command};

/// The longest wait for a program to listen or to end, and for a trace.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Each span of the service that is expected, and the one that it is a child of.
const SERVICE: [(&str, Option<&str>); 5] = [
    ("POST /parcels", None),
    ("INSERT parcels", Some("POST /parcels")),
    ("send parcels", Some("POST /parcels")),
    ("process parcels", Some("send parcels")),
    ("GET", Some("process parcels")),
];

/// The statements of diesel's own connections, in their order, with their `error.type`.
const POSTGRESQL: [(&str, &str); 6] = [
    ("CONNECT", ""),
    ("INSERT parcels", ""),
    ("BEGIN", ""),
    ("SELECT parcels", ""),
    ("COMMIT", ""),
    ("INSERT parcels", "unique_violation"),
];
const SQLITE: [(&str, &str); 4] = [
    ("CONNECT", ""),
    ("CREATE parcels", ""),
    ("INSERT parcels", ""),
    ("INSERT parcels", "unique_violation"),
];
/// The value that the statements bind, which no text may have.
const BOUND: &str = "4711";

/// The programs are in the folder.
pub(super) async fn run(folder: &Path) -> anyhow::Result<()> {
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
    service(&folder.join("consumer"), &lens, &database, &redis).await?;
    sync(&folder.join("sync"), &lens, &database).await
}

/// A program that exports to lens.
fn program(path: &Path, lens: &Lens, database: &Database) -> Command {
    let mut program = Command::new(path);
    program
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", lens.otlp_http_url())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .kill_on_drop(true);
    program
}

/// Sends the service a request, whose trace must have the spans of [`SERVICE`].
async fn service(path: &Path, lens: &Lens, database: &Database, redis: &Redis) -> anyhow::Result<()> {
    let port = testkit::free_port()?;
    let mut service = program(path, lens, database)
        .env("REDIS_URL", redis.url())
        .env("ADDRESS", format!("127.0.0.1:{port}"))
        .env("CARRIER_URL", lens.page_url())
        .spawn()
        .context("cannot start the service")?;
    post(&format!("http://127.0.0.1:{port}/parcels"), &mut service).await?;
    let has = |trace: &Trace, name: &str| trace.spans.iter().any(|span| span.name == name);
    let is_whole = |trace: &Trace| SERVICE.iter().all(|(name, _)| has(trace, name));
    let trace = trace_of(lens, "POST /parcels", is_whole).await?;
    for (name, parent) in SERVICE {
        check(&trace, name, parent)?;
        println!("{name}: child of {}", parent.unwrap_or("none"));
    }
    Ok(())
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

/// Runs the program with diesel's own connections, whose traces must have these statements and no other.
async fn sync(path: &Path, lens: &Lens, database: &Database) -> anyhow::Result<()> {
    let ended = tokio::time::timeout(TIMEOUT, program(path, lens, database).status()).await??;
    ensure!(ended.success(), "the program with diesel's connections failed");
    for (system, expected) in [("postgresql", &POSTGRESQL[..]), ("sqlite", &SQLITE)] {
        let is_whole = |trace: &Trace| trace.spans.len() > expected.len();
        let trace = trace_of(lens, system, is_whole).await?;
        let mut spans: Vec<&Span> = trace.spans.iter().filter(|span| span.name != system).collect();
        spans.sort_by_key(|span| span.start_unix_nano);
        let text = |span: &Span, name: &str| span.attributes.get_str(name).unwrap_or_default().to_owned();
        let found = spans.iter().map(|span| (&*span.name, text(span, "error.type")));
        // The name of a connection is followed by its database.
        let found = found.map(|(name, error)| match name.strip_prefix("CONNECT ") {
            Some(_) => ("CONNECT", error),
            None => (name, error),
        });
        let found: Vec<_> = found.collect();
        let is_expected = found
            .iter()
            .map(|(name, error)| (*name, &**error))
            .eq(expected.iter().copied());
        ensure!(is_expected, "the statements of {system} are {found:?}");
        for span in spans {
            ensure!(
                text(span, "db.system.name") == system,
                "{} is of another system",
                span.name
            );
            ensure!(
                !text(span, "db.query.text").contains(BOUND),
                "{} has a value",
                span.name
            );
        }
        println!("{system}: {} spans", found.len());
    }
    Ok(())
}

/// The trace with this root, once it is whole.
async fn trace_of(lens: &Lens, root: &str, is_whole: impl Fn(&Trace) -> bool) -> anyhow::Result<Trace> {
    let is_root = |span: &Span| span.parent_span_id.is_none() && span.name == root;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let traces = lens.store().traces();
        let trace = traces.into_iter().find(|trace| trace.spans.iter().any(is_root));
        if let Some(trace) = trace.as_ref().filter(|trace| is_whole(trace)) {
            return Ok(trace.clone());
        }
        ensure!(
            Instant::now() < deadline,
            "the trace of {root:?} is not whole: {trace:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
