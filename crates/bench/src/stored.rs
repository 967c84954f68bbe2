//! A table of many final orders, as a service has after half a year.

use std::time::{Duration, Instant};

use anyhow::ensure;
use chrono::TimeDelta;
use testkit::{Database, Postgres, Service, Stack};
use tokio_postgres::Client;

use crate::environment::Environment;
use crate::mode::Mode;

const COUNTED_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes the load fast.
const PREPARE: [&str; 2] = ["ALTER SYSTEM SET max_wal_size = '4GB'", "SELECT pg_reload_conf()"];
/// The indexes that are built after the load: all but that of the primary key.
const INDEXES: &str = "SELECT 'DROP INDEX ' || indexname, indexdef FROM pg_indexes \
    WHERE tablename = 'orders' AND indexname <> 'orders_pkey'";
/// Over which the orders are spread.
pub(crate) const PERIOD: TimeDelta = TimeDelta::days(180);
/// Orders `$1` to `$2` of `$3`, evenly spread over the last 180 days.
const INSERT: &str = "INSERT INTO orders (id, amount, created_at, updated_at, completed_at, attempt, customer, \
    currency, status, payment_status, failure_code, failure_detail, items) \
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000b' || lpad(to_hex(n), 15, '0'))::uuid, \
      100 + n % 10000, at, at + interval '1 s', at + interval '1 s', 1, 'customer-' || n % 10000, \
      CASE n % 10 WHEN 0 THEN 'EUR' WHEN 1 THEN 'JPY' ELSE 'USD' END, \
      CASE n % 50 WHEN 0 THEN 'failed' ELSE 'completed' END, 'not_required', \
      CASE n % 50 WHEN 0 THEN 'internal_error' END, CASE n % 50 WHEN 0 THEN '' END, \
      '[{\"product_name\": \"Widget\", \"quantity\": 1, \"unit_price_minor\": 9999}]' \
    FROM (SELECT n, now() - interval '1 min' - interval '180 d' * ($3::float8 - n) / $3::float8 AS at \
      FROM generate_series($1::int, $2::int) AS n) AS one";
/// A migrated database with so many final orders, analyzed.
pub(crate) async fn orders(
    environment: &Environment,
    postgres: &Postgres,
    orders: i32,
) -> anyhow::Result<Database> {
    let database = postgres.database().await?;
    environment.binaries.migrate(database.url()).await?;
    let sql = database.connect().await?;
    for statement in PREPARE {
        sql.batch_execute(statement).await?;
    }
    let indexes = sql.query(INDEXES, &[]).await?;
    for index in &indexes {
        sql.batch_execute(index.get(0)).await?;
    }
    let (first, second) = (database.connect().await?, database.connect().await?);
    let half = orders / 2;
    tokio::try_join!(
        insert(&first, 1, half, orders),
        insert(&second, half + 1, orders, orders),
    )?;
    sql.batch_execute("SET maintenance_work_mem = '512MB'").await?;
    for index in &indexes {
        sql.batch_execute(index.get(1)).await?;
    }
    sql.batch_execute("VACUUM ANALYZE orders").await?;
    Ok(database)
}

async fn insert(sql: &Client, first: i32, last: i32, of: i32) -> anyhow::Result<()> {
    sql.batch_execute("SET session_replication_role = replica")
        .await?;
    sql.execute(INSERT, &[&first, &last, &f64::from(of)]).await?;
    Ok(())
}

/// An api and a worker, which has counted the totals of all orders.
pub(crate) async fn running(
    environment: &Environment,
    database: &Database,
    sql: &Client,
) -> anyhow::Result<Stack> {
    let services = [Service::Api, Service::Worker];
    let stack = environment.stack(Mode::Off, database.url(), &services, "http://127.0.0.1:9");
    let stack = stack.start().await?;
    until_counted(sql).await?;
    Ok(stack)
}

/// Waits until a worker has counted the totals of all orders.
pub(crate) async fn until_counted(sql: &Client) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let counted = "SELECT taken_at IS NOT NULL FROM order_totals_state";
        if sql.query_one(counted, &[]).await?.get(0) {
            return Ok(());
        }
        ensure!(started.elapsed() < COUNTED_TIMEOUT, "the totals are not counted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
