//! The cost of tracing when orders are created. The floor is PostgreSQL alone, with the same INSERT.

use std::time::Duration;

use anyhow::Context;
use testkit::{Database, Service, Stack};

use crate::client;
use crate::environment::{self, Environment};
use crate::floor::{Floors, Statements};
use crate::load::{self, CLIENTS};
use crate::mode::Mode;
use crate::process::{self, Memory};
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;

const MODES: [Mode; 3] = [Mode::Off, Mode::Tenth, Mode::Full];
/// The open loop's rate, as a share of the slowest mode's throughput.
const OPEN_LOOP_SHARE: f64 = 0.4;

struct Measured {
    mode: Mode,
    stack: Stack,
    /// Orders a second.
    throughput: Vec<f64>,
    /// CPU time of the api for one request, in microseconds.
    cpu: Vec<f64>,
    /// Milliseconds.
    p50: Vec<f64>,
    p99: Vec<f64>,
    _database: Database,
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let receiver = environment.receiver().await?;
    let otlp = receiver.ports().otlp_http_url();
    let mut floors = Floors::new(environment, Statements::Insert).await?;
    let mut all = Vec::new();
    for mode in MODES {
        let database = environment.postgres.database().await?;
        let stack = environment.stack(mode, database.url(), &[Service::Api], &otlp);
        let stack = stack.start().await?;
        // Warm up.
        let request = client::create_order_request(false);
        load::closed(stack.ports().api, &request, size.measure / 2).await?;
        all.push(Measured {
            mode,
            stack,
            throughput: Vec::new(),
            cpu: Vec::new(),
            p50: Vec::new(),
            p99: Vec::new(),
            _database: database,
        });
    }

    for _ in 0..size.rounds {
        floors.measure(size.measure).await?;
        for measured in &mut all {
            measured.closed_loop(size.measure).await?;
        }
    }
    let slowest = all.iter().map(|measured| median(&measured.throughput));
    let rate = slowest.fold(f64::MAX, f64::min) * OPEN_LOOP_SHARE;
    for _ in 0..size.rounds {
        for measured in &mut all {
            measured.open_loop(rate, size.measure).await?;
        }
    }
    print(&all, &floors, rate)
}

impl Measured {
    async fn closed_loop(&mut self, measure: Duration) -> anyhow::Result<()> {
        let pid = environment::pid(&self.stack, Service::Api)?;
        let before = process::cpu_time(pid)?;
        let request = client::create_order_request(false);
        let throughput = load::closed(self.stack.ports().api, &request, measure).await?;
        let spent = process::cpu_time(pid)?.saturating_sub(before);
        self.cpu
            .push(spent.as_secs_f64() * 1e6 / (throughput * measure.as_secs_f64()));
        self.throughput.push(throughput);
        Ok(())
    }

    async fn open_loop(&mut self, rate: f64, measure: Duration) -> anyhow::Result<()> {
        let request = client::create_order_request(false);
        let port = self.stack.ports().api;
        let latencies = load::open(&[port], &request, rate, measure).await?;
        self.p50.push(median(&latencies));
        self.p99.push(quantile(&latencies, 990));
        Ok(())
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(environment::pid(&self.stack, Service::Api)?)
    }
}

fn print(all: &[Measured], floors: &Floors, rate: f64) -> anyhow::Result<()> {
    let off = all.first().context("nothing was measured")?;
    let off_memory = off.memory()?.now;
    let mut table = Table::new(&[
        "creating orders",
        "orders/s",
        "",
        "CPU per request",
        "",
        "p50",
        "p99",
        "",
        "memory",
        "",
        "peak",
    ]);
    for measured in all {
        let (throughput, cpu) = (median(&measured.throughput), median(&measured.cpu));
        let (p50, p99) = (median(&measured.p50), median(&measured.p99));
        let memory = measured.memory()?;
        let mode = measured.mode;
        table.row([
            mode.name().to_owned(),
            format!("{throughput:.0}"),
            mode.change(throughput, median(&off.throughput)),
            format!("{cpu:.0} us"),
            mode.change(cpu, median(&off.cpu)),
            format!("{p50:.2} ms"),
            format!("{p99:.2} ms"),
            mode.change(p99, median(&off.p99)),
            format!("{:.0} MB", memory.now),
            if mode == Mode::Off {
                String::new()
            } else {
                format!("{:+.0} MB", memory.now - off_memory)
            },
            format!("{:.0} MB", memory.peak),
        ]);
    }
    println!("\n{table}");
    println!("orders/s, CPU: closed loop of {CLIENTS} clients. p50, p99: open loop of {rate:.0} orders/s.");
    let throughput = all
        .iter()
        .map(|one| (one.mode.name().to_owned(), median(&one.throughput)));
    println!("\n{}", floors.beside(throughput));
    Ok(())
}
