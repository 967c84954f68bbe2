//! A backlog: orders that became due while no worker ran, and how fast one worker processes them.

use std::time::Duration;

use anyhow::ensure;
use testkit::{Database, Service, wait_for_final_orders};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::mode::Mode;
use crate::size::Size;

/// Pause between two looks at the statements that run.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Longer than [`SAMPLE_INTERVAL`], because each count loads the database that is measured.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(600);

/// Inserts due orders, in the columns that `store` writes.
const INSERT: &str = "INSERT INTO orders \
    (id, amount, dispatch_after, customer, currency, status, payment_status, items, trace_context) \
    SELECT gen_random_uuid(), 9999, now(), 'anonymous', 'USD', 'pending', 'not_required', \
    '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]', '{}' \
    FROM generate_series(1, $1::int)";
/// The age of the oldest running statement, in milliseconds.
const OLDEST_STATEMENT: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8 * 1000 \
    FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' \
    AND datname = current_database() AND pid <> pg_backend_pid()";
/// Seconds from the first completion to the completion of each quarter of the orders, and the most attempts
/// of one order.
const QUARTERS: &str = "SELECT array(SELECT extract(epoch FROM at - (SELECT min(completed_at) FROM orders))::float8 \
    FROM unnest((SELECT percentile_disc(array[0.25, 0.5, 0.75, 1.0]) WITHIN GROUP (ORDER BY completed_at) \
    FROM orders)) AS at), (SELECT max(attempt) FROM orders)";

pub(crate) async fn run(environment: &Environment, size: Size) -> anyhow::Result<()> {
    let receiver = environment.receiver().await?;
    let otlp = receiver.ports().otlp_http_url();
    let database = environment.postgres.database().await?;
    environment.binaries.migrate(database.url()).await?;
    let sql = database.connect().await?;
    sql.execute(INSERT, &[&size.backlog]).await?;
    sql.batch_execute("VACUUM ANALYZE orders").await?;

    let worker = environment.stack(Mode::Full, database.url(), &[Service::Worker], &otlp);
    let worker = worker.start().await?;
    let longest = longest_statement_until_final(&sql).await?;
    drop(worker);
    print(&database, size.backlog, longest).await
}

/// Waits until every order is final; returns the age of the oldest statement that was seen, in milliseconds.
async fn longest_statement_until_final(sql: &Client) -> anyhow::Result<f64> {
    let mut longest = 0.0_f64;
    let sample = async {
        loop {
            longest = longest.max(sql.query_one(OLDEST_STATEMENT, &[]).await?.get(0));
            sleep(SAMPLE_INTERVAL).await;
        }
    };
    let not_final = tokio::select! {
        not_final = wait_for_final_orders(sql, COUNT_INTERVAL, BACKLOG_TIMEOUT) => not_final?,
        failed = sample => return failed,
    };
    ensure!(
        not_final == 0,
        "{not_final} orders are not final after {BACKLOG_TIMEOUT:?}"
    );
    Ok(longest)
}

async fn print(database: &Database, orders: i32, longest_statement: f64) -> anyhow::Result<()> {
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
         The oldest statement that was seen had run {longest_statement:.0} ms.",
        reached.last().copied().unwrap_or_default(),
    );
    Ok(())
}
