//! Orders from their creation to their final state: how many a second, and how long one takes. The floor is
//! PostgreSQL alone, with the statements that insert, claim and complete an order.

use std::time::Duration;

use testkit::{Database, Service, Stack};

use crate::environment::Environment;
use crate::floor::{Floors, Statements};
use crate::mode::Mode;
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load};

const MODES: [Mode; 2] = [Mode::Off, Mode::Full];
/// Orders a second of the open loop.
const OPEN_LOOP_RATE: f64 = 100.0;

/// Seconds from the first order's creation to the last order's final state, and the number of orders.
const SPAN: &str =
    "SELECT extract(epoch FROM max(completed_at) - min(created_at))::float8, count(*)::float8 FROM orders";
/// Milliseconds from each order's creation to its final state, both by PostgreSQL's clock.
const DURATIONS: &str = "SELECT extract(epoch FROM completed_at - created_at)::float8 * 1000 FROM orders";

struct Measured {
    mode: Mode,
    stack: Stack,
    /// Orders a second.
    throughput: Vec<f64>,
    /// Milliseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    database: Database,
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let receiver = environment.receiver().await?;
    let otlp = receiver.ports().otlp_http_url();
    let mut floors = Floors::new(environment, Statements::Life).await?;
    let mut all = Vec::new();
    for mode in MODES {
        let database = environment.postgres.database().await?;
        let services = [Service::Gateway, Service::Api, Service::Worker];
        let stack = environment.stack(mode, database.url(), &services, &otlp);
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
    let mut throughput = Vec::new();
    for (payment, what) in [(false, "without a payment"), (true, "with a payment")] {
        for round in 0..=size.rounds {
            if round > 0 {
                floors.measure(size.measure).await?;
            }
            for measured in &mut all {
                measured.measure(payment, size.measure).await?;
                // Round 0 warms up.
                if round == 0 {
                    measured.clear();
                }
            }
        }
        add_rows(&mut table, what, &all);
        throughput.extend(all.iter().map(|one| (one.name(what), median(&one.throughput))));
    }
    println!("\n{table}");
    println!(
        "orders/s: from the first order's creation to the last order's final state; a closed loop of {} clients creates them.\n\
         p50, p99: from an order's creation to its final state, at {OPEN_LOOP_RATE} orders/s.",
        load::CLIENTS
    );
    println!("\n{}", floors.beside(throughput));
    Ok(())
}

fn add_rows(table: &mut Table, what: &str, all: &[Measured]) {
    let Some(off) = all.first() else { return };
    for measured in all {
        let (throughput, p99) = (median(&measured.throughput), median(&measured.p99));
        table.row([
            measured.name(what),
            format!("{throughput:.0}"),
            measured.mode.change(throughput, median(&off.throughput)),
            format!("{:.1} ms", median(&measured.p50)),
            format!("{p99:.1} ms"),
            measured.mode.change(p99, median(&off.p99)),
        ]);
    }
}

impl Measured {
    fn name(&self, what: &str) -> String {
        format!("{what}, {}", self.mode.name())
    }

    async fn measure(&mut self, payment: bool, measure: Duration) -> anyhow::Result<()> {
        let request = client::create_order_request(payment);
        let port = self.stack.ports().api;
        let sql = self.database.connect().await?;

        load::closed(port, &request, measure).await?;
        load::wait_until_final(&sql).await?;
        let row = sql.query_one(SPAN, &[]).await?;
        let (seconds, orders): (f64, f64) = (row.get(0), row.get(1));
        self.throughput.push(orders / seconds);
        sql.batch_execute("TRUNCATE orders").await?;

        load::open(&[port], &request, OPEN_LOOP_RATE, measure).await?;
        load::wait_until_final(&sql).await?;
        let rows = sql.query(DURATIONS, &[]).await?;
        let durations: Vec<f64> = rows.iter().map(|row| row.get(0)).collect();
        self.p50.push(median(&durations));
        self.p99.push(quantile(&durations, 990));
        sql.batch_execute("TRUNCATE orders").await?;
        Ok(())
    }

    fn clear(&mut self) {
        for figures in [&mut self.throughput, &mut self.p50, &mut self.p99] {
            figures.clear();
        }
    }
}
