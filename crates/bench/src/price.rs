//! What tracing costs when orders are created, and how far that is from PostgreSQL's own floor: pgbench running the same INSERT.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use testkit::{Binaries, Database, Service, Stack};
use tokio::process::Command;

use crate::load::{self, CLIENTS};
use crate::mode::{self, Mode};
use crate::process::{self, Memory};
use crate::stats::{median, quantile};
use crate::table::{Table, change};
use crate::{Servers, Size, client};

const MODES: [Mode; 3] = [Mode::Off, Mode::Tenth, Mode::Full];
/// What part of the slowest mode's throughput the open loop asks of each.
const MODEST: f64 = 0.4;

/// One mode's api, and what was measured of it.
struct Measured {
    mode: Mode,
    stack: Stack,
    throughput: Vec<f64>,
    /// Microseconds of CPU time of the api for one request.
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    _database: Database,
}

pub(crate) async fn run(servers: &Servers, size: Size, binaries: &Binaries) -> anyhow::Result<()> {
    let receiver = mode::receiver(servers, binaries).await?;
    let otlp = receiver.ports().otlp_http_url();
    let floor_database = servers.postgres.database().await?;
    binaries.migrate(floor_database.url()).await?;
    let mut all = Vec::new();
    for mode in MODES {
        let database = servers.postgres.database().await?;
        let services = [Service::Api];
        let stack = mode.stack(servers, database.url(), &services, &otlp, binaries);
        let stack = stack.start().await?;
        // What is made once has been made before anything is measured.
        load::closed(stack.ports().api, &client::order(false), size.measure / 2).await?;
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

    let mut floor = Vec::new();
    for _ in 0..size.rounds {
        floor.push(pgbench(&floor_database, size.measure).await?);
        for measured in &mut all {
            measured.saturate(size.measure).await?;
        }
    }
    let slowest = all.iter().map(|measured| median(&measured.throughput));
    let rate = slowest.fold(f64::MAX, f64::min) * MODEST;
    for _ in 0..size.rounds {
        for measured in &mut all {
            measured.wait(rate, size.measure).await?;
        }
    }
    print(&all, median(&floor), rate)
}

impl Measured {
    async fn saturate(&mut self, measure: Duration) -> anyhow::Result<()> {
        let pid = mode::pid(&self.stack, Service::Api)?;
        let before = process::cpu(pid)?;
        let request = client::order(false);
        let throughput = load::closed(self.stack.ports().api, &request, measure).await?;
        let spent = process::cpu(pid)?.saturating_sub(before);
        self.cpu
            .push(spent.as_secs_f64() * 1e6 / (throughput * measure.as_secs_f64()));
        self.throughput.push(throughput);
        Ok(())
    }

    async fn wait(&mut self, rate: f64, measure: Duration) -> anyhow::Result<()> {
        let request = client::order(false);
        let port = self.stack.ports().api;
        let latencies = load::open(port, &request, rate, measure).await?;
        self.p50.push(median(&latencies));
        self.p99.push(quantile(&latencies, 990));
        Ok(())
    }

    fn memory(&self) -> anyhow::Result<Memory> {
        process::memory(mode::pid(&self.stack, Service::Api)?)
    }
}

fn print(all: &[Measured], floor: f64, rate: f64) -> anyhow::Result<()> {
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
        let than = |value: f64, base: f64| match measured.mode {
            Mode::Off => String::new(),
            _ => change(value, base),
        };
        table.row([
            measured.mode.name().to_owned(),
            format!("{throughput:.0}"),
            than(throughput, median(&off.throughput)),
            format!("{cpu:.0} us"),
            than(cpu, median(&off.cpu)),
            format!("{p50:.2} ms"),
            format!("{p99:.2} ms"),
            than(p99, median(&off.p99)),
            format!("{:.0} MB", memory.now),
            match measured.mode {
                Mode::Off => String::new(),
                _ => format!("{:+.0} MB", memory.now - off_memory),
            },
            format!("{:.0} MB", memory.peak),
        ]);
    }
    println!("\n{table}");
    println!(
        "orders/s, CPU: closed loop of {CLIENTS} clients. p50, p99: open loop of {rate:.0} orders/s.\n\
         Floor: pgbench makes {floor:.0} such INSERTs/s over {CLIENTS} connections; with telemetry off the api takes \
         {:.0} % as many orders.",
        median(&off.throughput) / floor * 100.0
    );
    Ok(())
}

/// The INSERT of an order without a payment, as `store` makes it.
const INSERT: &str = "INSERT INTO orders (id, amount, dispatch_after, customer, currency, status, payment_status, items, trace_context) \
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
    Ok(number.context("pgbench told no tps")?.parse()?)
}
