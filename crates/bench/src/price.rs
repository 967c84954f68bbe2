//! The cost of tracing when orders are created. The baseline is pgbench, which runs the same INSERT.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use testkit::{Database, Service, Stack};
use tokio::process::Command;

use crate::client;
use crate::environment::{self, Environment};
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
    let baseline_database = environment.postgres.database().await?;
    environment.binaries.migrate(baseline_database.url()).await?;
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

    let mut baseline = Vec::new();
    for _ in 0..size.rounds {
        baseline.push(pgbench(&baseline_database, size.measure).await?);
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
    print(&all, median(&baseline), rate)
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
        let latencies = load::open(port, &request, rate, measure).await?;
        self.p50.push(median(&latencies));
        self.p99.push(quantile(&latencies, 990));
        Ok(())
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(environment::pid(&self.stack, Service::Api)?)
    }
}

fn print(all: &[Measured], baseline: f64, rate: f64) -> anyhow::Result<()> {
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
    println!(
        "orders/s, CPU: closed loop of {CLIENTS} clients. p50, p99: open loop of {rate:.0} orders/s.\n\
         Baseline: pgbench makes {baseline:.0} such INSERTs/s over {CLIENTS} connections; with telemetry off the api creates \
         {:.0} % as many orders.",
        median(&off.throughput) / baseline * 100.0
    );
    Ok(())
}

/// The INSERT of an order without a payment, in the columns that `store` writes.
const INSERT: &str = "INSERT INTO orders \
    (id, amount, dispatch_after, customer, currency, status, payment_status, items, trace_context) \
    VALUES (gen_random_uuid(), 9999, now() + interval '30 s', 'anonymous', 'USD', 'pending', 'not_required', \
    '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]', \
    '{\"traceparent\": \"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}') RETURNING created_at;\n";

/// INSERTs per second.
async fn pgbench(database: &Database, measure: Duration) -> anyhow::Result<f64> {
    let program = testkit::postgres_program("pgbench")
        .context("pgbench is not installed; it comes with PostgreSQL's server")?;
    let script = std::env::temp_dir().join(format!("throughline-bench-{}.sql", std::process::id()));
    fs::write(&script, INSERT)?;
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
        .arg(format!("--client={CLIENTS}"))
        .arg(format!("--time={}", measure.as_secs().max(1)))
        .arg(format!("--file={}", script.display()))
        .arg(database.url())
        .stdin(Stdio::null())
        .output()
        .await;
    fs::remove_file(&script)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = tps.and_then(|line| line.split(' ').next());
    Ok(number.context("pgbench printed no tps")?.parse()?)
}
