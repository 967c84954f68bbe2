//! A backlog: orders that fell due while nothing worked, and how steadily one worker catches up.

use std::time::Duration;

use testkit::{Binaries, Database, Service};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::mode::{self, Mode};
use crate::{Servers, Size};

/// How often the database is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take in all.
const PATIENCE: Duration = Duration::from_secs(600);

/// Orders that are due, as `store` makes them, all at once.
const INSERT: &str = "INSERT INTO orders (id, amount, dispatch_after, customer, currency, status, payment_status, items, trace_context) \
    SELECT gen_random_uuid(), 9999, now(), 'anonymous', 'USD', 'pending', 'not_required', \
    '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]', '{}' \
    FROM generate_series(1, $1::int)";
const ON_THEIR_WAY: &str = "SELECT count(*) FROM orders WHERE dispatch_after IS NOT NULL";
/// How long the statement that has run longest has been running, in milliseconds.
const LONGEST: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 * 1000 \
    FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid()";
/// Seconds from the first completion until each quarter of the orders was completed, and the most attempts of one.
const QUARTERS: &str = "SELECT array(SELECT extract(epoch FROM at - (SELECT min(completed_at) FROM orders))::float8 \
    FROM unnest((SELECT percentile_disc(array[0.25, 0.5, 0.75, 1.0]) WITHIN GROUP (ORDER BY completed_at) FROM orders)) AS at), \
    (SELECT max(attempt) FROM orders)";

pub(crate) async fn run(servers: &Servers, size: Size, binaries: &Binaries) -> anyhow::Result<()> {
    let receiver = mode::receiver(servers, binaries).await?;
    let otlp = receiver.ports().otlp_http_url();
    let database = servers.postgres.database().await?;
    binaries.migrate(database.url()).await?;
    let sql = database.connect().await?;
    sql.execute(INSERT, &[&size.backlog]).await?;
    sql.batch_execute("VACUUM ANALYZE orders").await?;

    let worker = Mode::Full.stack(servers, database.url(), &[Service::Worker], &otlp, binaries);
    let worker = worker.start().await?;
    let longest = settle(&sql).await?;
    drop(worker);
    print(&database, size.backlog, longest).await
}

/// Waits until every order is final; the longest that a statement was seen to run, in milliseconds.
async fn settle(sql: &Client) -> anyhow::Result<f64> {
    let end = Instant::now() + PATIENCE;
    let mut longest = 0.0_f64;
    let mut looks = 0_u32;
    loop {
        longest = longest.max(sql.query_one(LONGEST, &[]).await?.get(0));
        // Counting is not for free: it is done once a second.
        if looks.is_multiple_of(10) {
            let on_their_way: i64 = sql.query_one(ON_THEIR_WAY, &[]).await?.get(0);
            if on_their_way == 0 {
                return Ok(longest);
            }
            anyhow::ensure!(
                Instant::now() < end,
                "{on_their_way} orders are not final after {PATIENCE:?}"
            );
        }
        looks += 1;
        sleep(LOOK).await;
    }
}

async fn print(database: &Database, orders: i32, longest: f64) -> anyhow::Result<()> {
    let row = database.connect().await?.query_one(QUARTERS, &[]).await?;
    let (reached, attempts): (Vec<f64>, i32) = (row.get(0), row.get(1));
    let quarter = f64::from(orders) / 4.0;
    let mut before = 0.0;
    let rates = reached.iter().map(|seconds| {
        let rate = quarter / (seconds - before);
        before = *seconds;
        format!("{rate:.0}")
    });
    let rates = rates.collect::<Vec<_>>().join(", ");
    println!(
        "\n{orders} orders due at once, one worker, every trace recorded: all completed within {:.0} s.\n\
         Completed a second, by quarters of the orders: {rates}. Attempts of one order: at most {attempts}.\n\
         The longest that a statement was seen to run: {longest:.0} ms.",
        reached.last().copied().unwrap_or_default(),
    );
    Ok(())
}
