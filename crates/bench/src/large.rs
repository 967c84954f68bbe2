//! Many final orders and many that are due: what the reads of people and of the reconciler cost, and what a
//! snapshot changes that is held open while orders are created and processed, so that no dead row goes away.

use std::time::{Duration, Instant};

use testkit::{Service, Stack};
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::size::Size;
use crate::stats::{median, quantile};
use crate::table::Table;
use crate::{client, load, stored};

/// Orders a second: beside the reads, and while the snapshot is held.
const RATE: f64 = 200.0;
const RATE_OF_SNAPSHOT: f64 = 500.0;
const REPEATS: usize = 20;

/// Orders that no worker has processed, of so many customers and without jobs.
const INSERT_DUE: &str = "INSERT INTO orders \
    (id, amount, dispatch_after, customer, currency, status, payment_status, items) \
    SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7000c' || lpad(to_hex(n), 15, '0'))::uuid, \
      9999, now() - n * interval '1 ms', 'customer-' || n % 10000, 'USD', 'pending', 'not_required', \
      '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]' \
    FROM generate_series(1, $1::int) AS n";

/// What the reconciler reads and locks: its looks, by the condition that each adds.
const LOOKS: [(&str, &str); 4] = [
    (
        "look of the reconciler",
        " AND dispatch_after > now() - interval '1 s'",
    ),
    (
        "look for attempted",
        " AND attempt > 0 AND dispatch_after > now() - interval '1 s'",
    ),
    // For transactions that took long.
    (
        "wide look, every 5 s",
        " AND dispatch_after > now() - interval '15 s'",
    ),
    ("full look, once a minute", ""),
];

/// Reads of the api, by their paths.
const READS: [(&str, &str); 6] = [
    ("totals", "/api/orders/analytics"),
    ("list of all", "/api/orders?limit=100"),
    ("list of completed", "/api/orders?limit=100&status=completed"),
    ("list of failed", "/api/orders?limit=100&status=failed"),
    ("list of pending", "/api/orders?limit=100&status=pending"),
    ("list of cancelled", "/api/orders?limit=100&status=cancelled"),
];

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let postgres = environment.another_postgres().await?;
    let database = stored::orders(environment, &postgres, size.stored).await?;
    let sql = database.connect().await?;
    let stack = stored::running(environment, &database, &sql).await?;

    let idle = measured(&stack, &sql, size).await?;
    sql.execute(INSERT_DUE, &[&size.due]).await?;
    let backlog = measured(&stack, &sql, size).await?;
    let snapshot = database.connect().await?;
    snapshot
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM orders LIMIT 1")
        .await?;
    let request = client::create_order_request(false);
    load::open(&[stack.ports().api], &request, RATE_OF_SNAPSHOT, size.snapshot).await?;
    let held = measured(&stack, &sql, size).await?;
    snapshot.batch_execute("COMMIT").await?;

    let mut table = Table::new(&[
        "median (max)",
        "final ones",
        "due ones too",
        "",
        "snapshot held",
        "",
    ]);
    for (((what, idle), (_, backlog)), (_, held)) in idle.iter().zip(&backlog).zip(&held) {
        let cell = |all: &[f64]| format!("{:.1} ms ({:.1})", median(all), quantile(all, 1000));
        let ratio = |all: &[f64]| format!("x{:.1}", median(all) / median(idle));
        table.row([
            (*what).to_owned(),
            cell(idle),
            cell(backlog),
            ratio(backlog),
            cell(held),
            ratio(held),
        ]);
    }
    println!(
        "\n{table}\n{} final orders, one api and one worker, beside {RATE} new orders/s. Then {} due \
         orders, which the\nworker processes meanwhile. Then a snapshot that was held for {} s at {RATE_OF_SNAPSHOT} \
         new orders/s.",
        size.stored,
        size.due,
        size.snapshot.as_secs(),
    );
    Ok(())
}

/// Milliseconds of each operation, beside new orders; of the orders themselves in the last row.
async fn measured(stack: &Stack, sql: &Client, size: Size) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
    let request = client::create_order_request(false);
    let ports = [stack.ports().api];
    let posts = load::open(&ports, &request, RATE, size.measure * 2);
    let reads = async {
        let mut all = Vec::new();
        for (what, condition) in LOOKS {
            let statement = format!(
                "SELECT id, status FROM orders WHERE dispatch_after <= now(){condition} \
                 ORDER BY dispatch_after LIMIT 200 FOR UPDATE SKIP LOCKED"
            );
            all.push((what, statements(sql, &statement).await?));
        }
        let http = reqwest::Client::new();
        for (what, path) in READS {
            let url = format!("{}{path}", stack.url(Service::Api));
            all.push((what, requests(&http, &url).await?));
        }
        anyhow::Ok(all)
    };
    let (posts, reads) = tokio::join!(posts, reads);
    let mut all = reads?;
    all.push(("POST", posts?));
    Ok(all)
}

async fn statements(sql: &Client, statement: &str) -> anyhow::Result<Vec<f64>> {
    let mut durations = Vec::new();
    for _ in 0..REPEATS {
        sql.batch_execute("BEGIN").await?;
        let begun = Instant::now();
        sql.query(statement, &[]).await?;
        durations.push(milliseconds(begun.elapsed()));
        sql.batch_execute("ROLLBACK").await?;
    }
    Ok(durations)
}

async fn requests(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<f64>> {
    let mut durations = Vec::new();
    for _ in 0..REPEATS {
        let begun = Instant::now();
        client.get(url).send().await?.error_for_status()?.bytes().await?;
        durations.push(milliseconds(begun.elapsed()));
    }
    Ok(durations)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
