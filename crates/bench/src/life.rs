//! Orders from their creation to their final state: how many a second, and how long one takes.

use std::time::Duration;

use testkit::{Binaries, Database, Service, Stack};
use tokio::time::{Instant, sleep};

use crate::load;
use crate::mode::{self, Mode};
use crate::stats::{median, quantile};
use crate::table::{Table, change};
use crate::{Servers, Size, client};

const MODES: [Mode; 2] = [Mode::Off, Mode::Full];
/// Orders a second of the open loop.
const RATE: f64 = 100.0;
/// How long orders may take to become final.
const PATIENCE: Duration = Duration::from_secs(120);

/// Seconds from the first order's creation to the last one's end, and how many there were.
const SPAN: &str =
    "SELECT extract(epoch FROM max(completed_at) - min(created_at))::float8, count(*)::float8 FROM orders";
/// Milliseconds from an order's creation to its end, both by PostgreSQL's clock.
const LIVES: &str = "SELECT extract(epoch FROM completed_at - created_at)::float8 * 1000 FROM orders";
const ON_THEIR_WAY: &str = "SELECT count(*) FROM orders WHERE dispatch_after IS NOT NULL";

struct Measured {
    mode: Mode,
    stack: Stack,
    throughput: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    database: Database,
}

pub(crate) async fn run(servers: &Servers, size: Size, binaries: &Binaries) -> anyhow::Result<()> {
    let receiver = mode::receiver(servers, binaries).await?;
    let otlp = receiver.ports().otlp_http_url();
    let mut all = Vec::new();
    for mode in MODES {
        let database = servers.postgres.database().await?;
        let services = [Service::Gateway, Service::Api, Service::Worker];
        let stack = mode.stack(servers, database.url(), &services, &otlp, binaries);
        all.push(Measured {
            mode,
            stack: stack.start().await?,
            throughput: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
            database,
        });
    }

    let mut table = Table::new(&["orders to their end", "orders/s", "", "p50", "p99", ""]);
    for (payment, what) in [(false, "without a payment"), (true, "with a payment")] {
        for measured in &mut all {
            measured.measure(payment, size.measure).await?;
            measured.forget();
        }
        for _ in 0..size.rounds {
            for measured in &mut all {
                measured.measure(payment, size.measure).await?;
            }
        }
        let [off, ..] = all.as_slice() else { continue };
        for measured in &all {
            let (throughput, p99) = (median(&measured.throughput), median(&measured.p99));
            let than = |value: f64, base: f64| match measured.mode {
                Mode::Off => String::new(),
                _ => change(value, base),
            };
            table.row([
                format!("{what}, {}", measured.mode.name()),
                format!("{throughput:.0}"),
                than(throughput, median(&off.throughput)),
                format!("{:.1} ms", median(&measured.p50)),
                format!("{p99:.1} ms"),
                than(p99, median(&off.p99)),
            ]);
        }
        for measured in &mut all {
            measured.forget();
        }
    }
    println!("\n{table}");
    println!(
        "orders/s: from the first order's creation to the last one's end, created by a closed loop of {} clients.\n\
         p50, p99: from an order's creation to its end, at {RATE} orders/s.",
        load::CLIENTS
    );
    Ok(())
}

impl Measured {
    async fn measure(&mut self, payment: bool, measure: Duration) -> anyhow::Result<()> {
        let request = client::order(payment);
        let port = self.stack.ports().api;
        let sql = self.database.connect().await?;

        load::closed(port, &request, measure).await?;
        settle(&sql).await?;
        let row = sql.query_one(SPAN, &[]).await?;
        let (seconds, orders): (f64, f64) = (row.get(0), row.get(1));
        self.throughput.push(orders / seconds);
        sql.batch_execute("TRUNCATE orders").await?;

        load::open(port, &request, RATE, measure).await?;
        settle(&sql).await?;
        let rows = sql.query(LIVES, &[]).await?;
        let lives: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
        self.p50.push(median(&lives));
        self.p99.push(quantile(&lives, 990));
        sql.batch_execute("TRUNCATE orders").await?;
        Ok(())
    }

    fn forget(&mut self) {
        for figures in [&mut self.throughput, &mut self.p50, &mut self.p99] {
            figures.clear();
        }
    }
}

/// Until every order is final.
async fn settle(sql: &tokio_postgres::Client) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let on_their_way: i64 = sql.query_one(ON_THEIR_WAY, &[]).await?.get(0);
        if on_their_way == 0 {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < end,
            "{on_their_way} orders are not final after {PATIENCE:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}
