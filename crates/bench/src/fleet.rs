//! What more workers and more apis cost PostgreSQL and Redis: idle, and at the same rate of orders, without
//! telemetry.

use std::time::Duration;

use testkit::{Service, Stack};
use tokio::time::sleep;

use crate::environment::Environment;
use crate::mode::Mode;
use crate::servers::Counters;
use crate::size::Size;
use crate::table::Table;
use crate::{client, load};

/// Orders a second of all apis together.
const RATE: f64 = 200.0;
/// From the start of the last process to the first measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// Redis commands that are named.
const NAMED: usize = 5;

struct Measured {
    name: String,
    idle: Counters,
    loaded: Counters,
    orders: f64,
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let seconds = size.fleet_measure.as_secs_f64();
    let workers = size.fleet_workers.iter().map(|workers| (1, *workers));
    let apis = size.fleet_apis.iter().map(|apis| (*apis, 1));
    let mut all = Vec::new();
    for (apis, workers) in workers.chain(apis) {
        all.push(measure(environment, apis, workers, size).await?);
    }

    let mut idle = Table::new(&[
        "idle, each second",
        "CPU of PostgreSQL",
        "commits",
        "CPU of Redis",
        "Redis commands",
    ]);
    let mut loaded = Table::new(&[
        "each order",
        "CPU of PostgreSQL",
        "commits",
        "CPU of Redis",
        "Redis commands",
    ]);
    for one in &all {
        idle.row(cells(&one.name, &one.idle, seconds));
        loaded.row(cells(&one.name, &one.loaded, one.orders));
    }
    println!(
        "\n{idle}\n{loaded}\n{RATE:.0} orders/s from all apis together; each for {seconds} s. Redis commands:"
    );
    for one in &all {
        println!(
            "{}: idle, each second: {}; each order: {}",
            one.name,
            one.idle.most_frequent(NAMED, seconds),
            one.loaded.most_frequent(NAMED, one.orders)
        );
    }
    Ok(())
}

async fn measure(
    environment: &Environment,
    apis: usize,
    workers: usize,
    size: Size,
) -> anyhow::Result<Measured> {
    let database = environment.postgres.database().await?;
    environment.binaries.migrate(database.url()).await?;
    let sql = database.connect().await?;
    let name = format!("{apis} x api, {workers} x worker");
    let queue = format!("bench-fleet-{apis}-{workers}");
    let one = |service: Service| {
        let stack = environment.stack(Mode::Off, database.url(), &[service], "http://127.0.0.1:9");
        stack.queue_name(&queue).start_without_migration()
    };
    let mut fleet: Vec<Stack> = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..apis {
        let api = one(Service::Api).await?;
        ports.push(api.ports().api);
        fleet.push(api);
    }
    for _ in 0..workers {
        fleet.push(one(Service::Worker).await?);
    }
    let counters = || Counters::read(&environment.postgres, &sql, &environment.redis);

    let request = client::create_order_request(false);
    load::open(&ports, &request, RATE, WARM_UP).await?;
    load::wait_until_final(&sql).await?;
    sleep(size.fleet_settle).await;
    let before = counters().await?;
    sleep(size.fleet_measure).await;
    let idle = counters().await?.since(&before);

    let before = counters().await?;
    let latencies = load::open(&ports, &request, RATE, size.fleet_measure).await?;
    load::wait_until_final(&sql).await?;
    let loaded = counters().await?.since(&before);
    let orders = f64::from(u32::try_from(latencies.len())?);
    Ok(Measured {
        name,
        idle,
        loaded,
        orders,
    })
}

fn cells(name: &str, spent: &Counters, per: f64) -> [String; 5] {
    [
        name.to_owned(),
        format!("{:.0} us", spent.postgres_cpu * 1e6 / per),
        format!("{:.2}", spent.commits / per),
        format!("{:.0} us", spent.redis_cpu * 1e6 / per),
        format!("{:.2}", spent.redis_calls() / per),
    ]
}
