//! A large table, on a PostgreSQL with fsync: how long the totals take, how fast old orders are pruned, and
//! what that costs new ones.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use testkit::{Postgres, Service};
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::mode::Mode;
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load};

/// Orders a second of the open loop.
const RATE: f64 = 200.0;
const REQUESTS: u32 = 40;
const REQUEST_INTERVAL: Duration = Duration::from_millis(250);
const COUNTED_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes the load fast: the indexes are built afterwards, and no trigger runs.
const PREPARE: [&str; 3] = [
    "ALTER SYSTEM SET max_wal_size = '4GB'",
    "SELECT pg_reload_conf()",
    "DROP INDEX orders_of_customer, orders_by_status, orders_of_status_c, orders_completed",
];
/// Orders `$1` to `$2` of `$3`, evenly spread over the last 180 days.
const INSERT: &str = "INSERT INTO orders (id, amount, created_at, updated_at, completed_at, attempt, customer, \
    currency, status, payment_status, failure_code, failure_detail, items) \
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000b' || lpad(to_hex(n), 15, '0'))::uuid, \
      100 + n % 10000, at, at + interval '1 s', at + interval '1 s', 1, 'customer-' || n % 10000, \
      CASE n % 10 WHEN 0 THEN 'EUR' WHEN 1 THEN 'JPY' ELSE 'USD' END, \
      CASE n % 50 WHEN 0 THEN 'failed' ELSE 'completed' END, 'not_required', \
      CASE n % 50 WHEN 0 THEN 'internal_error' END, CASE n % 50 WHEN 0 THEN '' END, \
      '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]' \
    FROM (SELECT n, now() - interval '1 min' - interval '180 d' * ($3::float8 - n) / $3::float8 AS at \
      FROM generate_series($1::int, $2::int) AS n) AS one";
const INDEX: &str = "SET maintenance_work_mem = '512MB'; \
    CREATE INDEX orders_of_customer ON orders (customer, id); \
    CREATE INDEX orders_by_status ON orders (status, customer, id); \
    CREATE INDEX orders_of_status_c ON orders (status COLLATE \"C\", id); \
    CREATE INDEX orders_completed ON orders (completed_at, id) WHERE completed_at IS NOT NULL";
const FULL_COUNT: &str =
    "SELECT status, currency, count(*), sum(amount) FROM orders GROUP BY status, currency";

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let postgres = Postgres::start_durable().await?;
    let database = postgres.database().await?;
    environment.binaries.migrate(database.url()).await?;
    let sql = database.connect().await?;
    let half = size.stored / 2;
    for statement in PREPARE {
        sql.batch_execute(statement).await?;
    }
    let (first, second) = (database.connect().await?, database.connect().await?);
    tokio::try_join!(
        insert(&first, 1, half, size.stored),
        insert(&second, half + 1, size.stored, size.stored),
    )?;
    sql.batch_execute(INDEX).await?;
    sql.batch_execute("VACUUM ANALYZE orders").await?;

    let services = [Service::Api, Service::Worker];
    let stack = environment.stack(Mode::Off, database.url(), &services, "http://127.0.0.1:9");
    let started = Instant::now();
    let stack = stack.start().await?;
    while !are_stored(&sql).await? {
        ensure!(started.elapsed() < COUNTED_TIMEOUT, "the totals are not counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let first_count = started.elapsed().as_secs_f64();
    let totals = totals(&format!("{}/api/orders/analytics", stack.url(Service::Api))).await?;
    let full = Instant::now();
    sql.query(FULL_COUNT, &[]).await?;
    println!(
        "\n{} orders, PostgreSQL with fsync. Totals of all: at most {:.1} ms (median {:.1} ms) in {REQUESTS} requests; a full\n\
         count: {:.0} ms. The worker's first count, as after the migration: {first_count:.0} s.",
        size.stored,
        quantile(&totals, 1000),
        median(&totals),
        full.elapsed().as_secs_f64() * 1e3,
    );

    let request = client::create_order_request(false);
    let (port, measure) = (stack.ports().api, size.measure * 4);
    let mut table = Table::new(&["POST, open loop", "p50", "p99", "pruned a second"]);
    load::open(port, &request, RATE, size.measure).await?;
    let alone = load::open(port, &request, RATE, measure).await?;
    table.row(cells("alone", &alone, String::new()));
    let (before, begun) = (old(&sql).await?, Instant::now());
    let mut prune = Prune::start(environment, database.url())?;
    let beside = load::open(port, &request, RATE, measure).await?;
    let seconds = prune.stop_after(begun)?;
    let pruned = before - old(&sql).await?;
    table.row(cells("beside prune", &beside, format!("{:.0}", pruned / seconds)));
    println!("\n{table}\n{RATE} orders/s. Of the orders, those of the older half are pruned.");
    Ok(())
}

async fn insert(sql: &Client, first: i32, last: i32, of: i32) -> anyhow::Result<()> {
    sql.batch_execute("SET session_replication_role = replica")
        .await?;
    sql.execute(INSERT, &[&first, &last, &f64::from(of)]).await?;
    Ok(())
}

async fn are_stored(sql: &Client) -> anyhow::Result<bool> {
    let stored = "SELECT taken_at IS NOT NULL FROM order_totals_state";
    Ok(sql.query_one(stored, &[]).await?.get(0))
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
