//! A steady rate for a long time: what grows with each order, and what drifts. One api and one worker, every
//! trace recorded, orders without a payment.

use std::time::Duration;

use chrono::{DateTime, Utc};
use testkit::Service;
use tokio_postgres::Client;

use crate::environment::{self, Environment};
use crate::mode::Mode;
use crate::servers::Counters;
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load, process};

const QUARTERS: u32 = 4;
/// The load before the first quarter, as a share of a quarter, at most [`MAX_WARM_UP`].
const WARM_UP_SHARE: u32 = 4;
const MAX_WARM_UP: Duration = Duration::from_secs(20);

/// p50 and p99 of the milliseconds from creation to final state, of the orders created in a period.
const DURATIONS: &str = "SELECT percentile_disc(array[0.5, 0.99]) WITHIN GROUP \
    (ORDER BY extract(epoch FROM completed_at - created_at)::float8 * 1000) \
    FROM orders WHERE created_at >= $1 AND created_at < $2 AND completed_at IS NOT NULL";
/// Bytes of each table, with its TOAST table and maps, and of each index.
const SIZES: &str = "SELECT relname::text, \
      (CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END)::float8 \
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') \
    ORDER BY relkind DESC, relname";
const DEAD_ROWS: &str = "SELECT coalesce(sum(n_dead_tup), 0)::float8 FROM pg_stat_user_tables";

/// One quarter of the time.
struct Quarter {
    began: DateTime<Utc>,
    ended: DateTime<Utc>,
    /// Milliseconds.
    post_p50: f64,
    post_p99: f64,
    /// At the quarter's end, in MB.
    api: f64,
    worker: f64,
    dead_rows: f64,
}

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let receiver = environment.receiver().await?;
    let database = environment.postgres.database().await?;
    let services = [Service::Api, Service::Worker];
    let otlp = receiver.ports().otlp_http_url();
    let stack = environment.stack(Mode::Full, database.url(), &services, &otlp);
    let stack = stack.start().await?;
    let sql = database.connect().await?;
    let memory = |service| process::memory(environment::pid(&stack, service)?);

    let request = client::create_order_request(false);
    let (ports, rate) = ([stack.ports().api], f64::from(size.soak_rate));
    let quarter = size.soak / QUARTERS;
    let warm_up = (quarter / WARM_UP_SHARE).min(MAX_WARM_UP);
    load::open(&ports, &request, rate, warm_up).await?;
    load::wait_until_final(&sql).await?;
    let counters = || Counters::read(&environment.postgres, &sql, &environment.redis);
    let (counters_before, sizes_before) = (counters().await?, sizes(&sql).await?);
    let mut quarters = Vec::new();
    let mut orders = 0_usize;
    for _ in 0..QUARTERS {
        let began = clock(&sql).await?;
        let latencies = load::open(&ports, &request, rate, quarter).await?;
        orders += latencies.len();
        quarters.push(Quarter {
            began,
            ended: clock(&sql).await?,
            post_p50: median(&latencies),
            post_p99: quantile(&latencies, 990),
            api: memory(Service::Api)?.now,
            worker: memory(Service::Worker)?.now,
            dead_rows: sql.query_one(DEAD_ROWS, &[]).await?.get(0),
        });
    }
    load::wait_until_final(&sql).await?;
    let spent = counters().await?.since(&counters_before);
    let sizes_after = sizes(&sql).await?;
    drop(stack);

    println!(
        "\n{} s at {rate:.0} orders/s, an open loop, every trace recorded: {orders} orders, all of them final.",
        size.soak.as_secs()
    );
    let orders = f64::from(u32::try_from(orders)?);
    println!("\n{}", by_quarter(&sql, &quarters).await?);
    println!("{}", per_order(&spent, orders));
    let mut growth = Table::new(&["growth", "at the end", "per order"]);
    let relations = sizes_before.iter().zip(&sizes_after);
    for ((name, before), (_, after)) in relations.filter(|((_, before), (_, after))| before != after) {
        growth.row([
            name.clone(),
            format!("{:.1} MB", after / 1e6),
            format!("{:.1} bytes", (after - before) / orders),
        ]);
    }
    println!("{growth}");
    Ok(())
}

async fn by_quarter(sql: &Client, quarters: &[Quarter]) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "quarter",
        "POST p50",
        "p99",
        "final p50",
        "p99",
        "api",
        "worker",
        "dead rows",
    ]);
    let mut rows = Vec::new();
    for quarter in quarters {
        let row = sql
            .query_one(DURATIONS, &[&quarter.began, &quarter.ended])
            .await?;
        let durations: Option<Vec<f64>> = row.get(0);
        let durations = durations.unwrap_or_default();
        let duration = |index| durations.get(index).copied().unwrap_or_default();
        rows.push([
            quarter.post_p50,
            quarter.post_p99,
            duration(0),
            duration(1),
            quarter.api,
            quarter.worker,
            quarter.dead_rows,
        ]);
    }
    for (number, row) in (1..).zip(&rows) {
        let [post_p50, post_p99, final_p50, final_p99, api, worker, dead_rows] = row;
        table.row([
            format!("{number}"),
            format!("{post_p50:.2} ms"),
            format!("{post_p99:.2} ms"),
            format!("{final_p50:.2} ms"),
            format!("{final_p99:.2} ms"),
            format!("{api:.1} MB"),
            format!("{worker:.1} MB"),
            format!("{dead_rows:.0}"),
        ]);
    }
    if let ([first, ..], [.., last]) = (rows.as_slice(), rows.as_slice()) {
        let drift = first.iter().zip(last).map(|(first, last)| {
            if *first > 0.0 {
                format!("{:+.0} %", (last / first - 1.0) * 100.0)
            } else {
                String::new()
            }
        });
        table.row(["drift, first to last".to_owned()].into_iter().chain(drift));
    }
    Ok(table)
}

fn per_order(spent: &Counters, orders: f64) -> Table {
    let mut table = Table::new(&["for each order", ""]);
    let rows = [
        ("commits", format!("{:.3}", spent.commits / orders)),
        ("WAL", format!("{:.0} bytes", spent.wal_bytes / orders)),
        ("Redis commands", format!("{:.2}", spent.redis_calls() / orders)),
        ("of these", spent.most_frequent(4, orders)),
        (
            "CPU of PostgreSQL",
            format!("{:.0} us", spent.postgres_cpu * 1e6 / orders),
        ),
        (
            "CPU of Redis",
            format!("{:.0} us", spent.redis_cpu * 1e6 / orders),
        ),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

async fn sizes(sql: &Client) -> anyhow::Result<Vec<(String, f64)>> {
    let rows = sql.query(SIZES, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn clock(sql: &Client) -> anyhow::Result<DateTime<Utc>> {
    Ok(sql.query_one("SELECT clock_timestamp()", &[]).await?.get(0))
}
