//! A large table: how long the totals take, how fast old orders are pruned, and what that costs new ones.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::Service;
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load, stored};

/// Orders a second of the open loop.
const RATE: f64 = 200.0;
const REQUESTS: u32 = 40;
const REQUEST_INTERVAL: Duration = Duration::from_millis(250);

const FULL_COUNT: &str =
    "SELECT status, currency, count(*), sum(amount) FROM orders GROUP BY status, currency";

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let postgres = environment.another_postgres().await?;
    let database = stored::orders(environment, &postgres, size.stored).await?;
    let sql = database.connect().await?;

    let started = Instant::now();
    let stack = stored::running(environment, &database, &sql).await?;
    let first_count = started.elapsed().as_secs_f64();
    let totals = totals(&format!("{}/api/orders/analytics", stack.url(Service::Api))).await?;
    let full = Instant::now();
    sql.query(FULL_COUNT, &[]).await?;
    println!(
        "\n{} orders. Totals of all: at most {:.1} ms (median {:.1} ms) in {REQUESTS} requests; a full\n\
         count: {:.0} ms. The worker's first count, as after the migration: {first_count:.0} s.",
        size.stored,
        quantile(&totals, 1000),
        median(&totals),
        full.elapsed().as_secs_f64() * 1e3,
    );

    let request = client::create_order_request(false);
    let (port, measure) = (stack.ports().api, size.measure * 4);
    let mut table = Table::new(&["POST, open loop", "p50", "p99", "pruned a second"]);
    load::open(&[port], &request, RATE, size.measure).await?;
    let alone = load::open(&[port], &request, RATE, measure).await?;
    table.row(cells("alone", &alone, String::new()));
    let (before, begun) = (old(&sql).await?, Instant::now());
    let mut prune = Prune::start(environment, database.url())?;
    let beside = load::open(&[port], &request, RATE, measure).await?;
    let seconds = prune.stop_after(begun)?;
    let pruned = before - old(&sql).await?;
    table.row(cells("beside prune", &beside, format!("{:.0}", pruned / seconds)));
    println!("\n{table}\n{RATE} orders/s. Of the orders, those of the older half are pruned.");
    Ok(())
}

/// Milliseconds of each request, over more than a cached response lives.
async fn totals(url: &str) -> anyhow::Result<Vec<f64>> {
    let client = reqwest::Client::new();
    let mut durations = Vec::new();
    for _ in 0..REQUESTS {
        let begun = Instant::now();
        client.get(url).send().await?.error_for_status()?.bytes().await?;
        durations.push(begun.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(REQUEST_INTERVAL).await;
    }
    Ok(durations)
}

/// The number of orders that prune deletes.
async fn old(sql: &Client) -> anyhow::Result<f64> {
    let count = "SELECT count(*)::float8 FROM orders WHERE completed_at < now() - interval '90 d'";
    Ok(sql.query_one(count, &[]).await?.get(0))
}

/// `throughline-api prune`, which is killed when dropped.
struct Prune(Child);

impl Prune {
    fn start(environment: &Environment, database_url: &str) -> anyhow::Result<Self> {
        let program = environment.binaries.program(Service::Api);
        let mut command = Command::new(program);
        command
            .args(["prune", "--older-than", "90d"])
            .env("DATABASE_URL", database_url)
            .stdout(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    /// The seconds that it ran.
    fn stop_after(&mut self, begun: Instant) -> anyhow::Result<f64> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

impl Drop for Prune {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cells(what: &str, latencies: &[f64], pruned: String) -> [String; 4] {
    [
        what.to_owned(),
        format!("{:.1} ms", median(latencies)),
        format!("{:.1} ms", quantile(latencies, 990)),
        pruned,
    ]
}
