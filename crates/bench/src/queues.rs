//! PostgreSQL alone beside PostgreSQL and Redis, on the same rows: a backlog, single orders, and idle
//! workers. Telemetry is off.

use std::time::Duration;

use anyhow::ensure;
use testkit::{Database, Service, Stack, wait_for_final_orders};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::mode::Mode;
use crate::servers::Counters;
use crate::size::Size;
use crate::skip_locked::Worker;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load};

/// Orders a second of the open loop.
const RATE: u32 = 100;
/// Connections of a worker of PostgreSQL alone. Of idle ones each has one.
const CONNECTIONS: usize = 8;
/// Orders of a statement of PostgreSQL alone.
const ROWS: [i64; 2] = [1, 32];
/// Idle workers.
const IDLE: [usize; 2] = [1, 16];

/// Longer than other benchmarks', because each count of the backlog loads the database that is measured.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);
const FINAL_TIMEOUT: Duration = Duration::from_secs(300);

/// Inserts due orders, in the columns that `store` writes, and wakes workers of PostgreSQL alone.
const INSERT: &str = "WITH inserted AS (INSERT INTO orders \
      (id, amount, dispatch_after, customer, currency, status, payment_status, items, trace_context) \
    SELECT gen_random_uuid(), 9999, now(), 'anonymous', 'USD', 'pending', 'not_required', \
      '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]', '{}' \
      FROM generate_series(1, $1::int)) \
    SELECT pg_notify('orders_due', '')";
/// Seconds from the first completion to the last.
const SPAN: &str = "SELECT extract(epoch FROM max(completed_at) - min(completed_at))::float8 FROM orders";
/// Milliseconds from each order's creation to its final state, both by PostgreSQL's clock.
const DURATIONS: &str = "SELECT extract(epoch FROM completed_at - created_at)::float8 * 1000 FROM orders";

/// What works on the orders.
#[derive(Debug, Clone, Copy)]
enum System {
    /// A worker that claims so many orders with a statement.
    PostgresAlone(i64),
    /// The product's api and worker.
    Both,
}

/// Its running processes.
enum Running {
    PostgresAlone(Worker),
    Both(Stack),
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let systems = ROWS.map(System::PostgresAlone).into_iter().chain([System::Both]);
    let mut table = Table::new(&[
        "",
        "backlog, orders/s",
        "PostgreSQL CPU an order",
        "single orders, p50",
        "p99",
        "PostgreSQL CPU an order",
        "Redis CPU an order",
    ]);
    for system in systems {
        table.row(system.measure(environment, size).await?);
    }
    println!(
        "\n{table}\n{} orders that are due at once; then {RATE} orders/s for {} s, from an order's creation to its \
         final state.",
        size.drained,
        size.single.as_secs()
    );
    let mut table = Table::new(&[
        "idle, each second",
        "PostgreSQL commits",
        "CPU of PostgreSQL",
        "Redis commands",
        "CPU of Redis",
    ]);
    for system in [System::PostgresAlone(1), System::Both] {
        for workers in IDLE {
            table.row(system.idle(environment, workers, size).await?);
        }
    }
    println!("\n{table}");
    Ok(())
}

impl System {
    fn name(self) -> String {
        match self {
            Self::PostgresAlone(1) => "PostgreSQL alone, 1 order a statement".to_owned(),
            Self::PostgresAlone(rows) => format!("PostgreSQL alone, {rows} orders a statement"),
            Self::Both => "PostgreSQL and Redis".to_owned(),
        }
    }

    async fn start(
        self,
        environment: &Environment,
        database: &Database,
        services: &[Service],
        connections: usize,
    ) -> anyhow::Result<Running> {
        Ok(match self {
            Self::PostgresAlone(rows) => {
                Running::PostgresAlone(Worker::start(database, connections, rows).await?)
            }
            Self::Both => {
                let stack = environment.stack(Mode::Off, database.url(), services, "http://127.0.0.1:9");
                let stack = stack.queue_name("bench-queues");
                Running::Both(stack.start_without_migration().await?)
            }
        })
    }

    async fn measure(self, environment: &Environment, size: Size) -> anyhow::Result<[String; 7]> {
        let database = environment.postgres.database().await?;
        environment.binaries.migrate(database.url()).await?;
        let sql = database.connect().await?;
        let counters = || Counters::read(&environment.postgres, &sql, &environment.redis);
        sql.query(INSERT, &[&size.drained]).await?;
        // Alone, because several statements sent together are one transaction.
        sql.batch_execute("VACUUM ANALYZE orders").await?;
        sql.batch_execute("CHECKPOINT").await?;

        let before = counters().await?;
        let services = [Service::Api, Service::Worker];
        let mut running = self.start(environment, &database, &services, CONNECTIONS).await?;
        running.until_final(&sql).await?;
        let backlog = counters().await?.since(&before);
        let seconds: f64 = sql.query_one(SPAN, &[]).await?.get(0);
        let drained = f64::from(size.drained);
        sql.batch_execute("TRUNCATE orders").await?;

        let before = counters().await?;
        running.create(&database, size.single).await?;
        running.until_final(&sql).await?;
        let spent = counters().await?.since(&before);
        let rows = sql.query(DURATIONS, &[]).await?;
        let durations: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
        let single = f64::from(u32::try_from(durations.len())?);
        Ok([
            self.name(),
            format!("{:.0}", drained / seconds),
            format!("{:.0} us", backlog.postgres_cpu * 1e6 / drained),
            format!("{:.1} ms", median(&durations)),
            format!("{:.1} ms", quantile(&durations, 990)),
            format!("{:.0} us", spent.postgres_cpu * 1e6 / single),
            format!("{:.0} us", spent.redis_cpu * 1e6 / single),
        ])
    }

    async fn idle(
        self,
        environment: &Environment,
        workers: usize,
        size: Size,
    ) -> anyhow::Result<[String; 5]> {
        let database = environment.postgres.database().await?;
        environment.binaries.migrate(database.url()).await?;
        let sql = database.connect().await?;
        let mut fleet = Vec::new();
        for _ in 0..workers {
            fleet.push(self.start(environment, &database, &[Service::Worker], 1).await?);
        }
        let counters = || Counters::read(&environment.postgres, &sql, &environment.redis);
        sleep(size.fleet_settle).await;
        let before = counters().await?;
        sleep(size.single).await;
        let spent = counters().await?.since(&before);
        let seconds = size.single.as_secs_f64();
        let plural = if workers == 1 { "worker" } else { "workers" };
        let name = match self {
            Self::PostgresAlone(_) => "PostgreSQL alone",
            Self::Both => "PostgreSQL and Redis",
        };
        Ok([
            format!("{name}, {workers} {plural}"),
            format!("{:.1}", spent.commits / seconds),
            format!("{:.1} ms", spent.postgres_cpu * 1e3 / seconds),
            format!("{:.1}", spent.redis_calls() / seconds),
            format!("{:.1} ms", spent.redis_cpu * 1e3 / seconds),
        ])
    }
}

impl Running {
    /// Creates orders at a constant rate: through the api, or in the table if there is none.
    async fn create(&self, database: &Database, measure: Duration) -> anyhow::Result<()> {
        match self {
            Self::Both(stack) => {
                let request = client::create_order_request(false);
                load::open(&[stack.ports().api], &request, f64::from(RATE), measure).await?;
            }
            Self::PostgresAlone(_) => {
                let sql = database.connect().await?;
                let insert = sql.prepare(INSERT).await?;
                let mut due = Instant::now();
                let end = due + measure;
                while due < end {
                    sleep_until(due).await;
                    sql.query(&insert, &[&1_i32]).await?;
                    due += Duration::from_secs(1) / RATE;
                }
            }
        }
        Ok(())
    }

    async fn until_final(&mut self, sql: &Client) -> anyhow::Result<()> {
        match self {
            Self::Both(_) => wait_until_final(sql).await,
            Self::PostgresAlone(worker) => tokio::select! {
                done = wait_until_final(sql) => done,
                failed = worker.failed() => failed,
            },
        }
    }
}

async fn wait_until_final(sql: &Client) -> anyhow::Result<()> {
    let not_final = wait_for_final_orders(sql, COUNT_INTERVAL, FINAL_TIMEOUT).await?;
    ensure!(
        not_final == 0,
        "{not_final} orders are not final after {FINAL_TIMEOUT:?}"
    );
    Ok(())
}
