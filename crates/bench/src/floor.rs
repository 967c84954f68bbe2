//! The floor below a benchmark: what PostgreSQL alone does a second, measured with pgbench, which runs the
//! statements of `store` without services, Redis and telemetry.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use testkit::Database;
use tokio::process::Command;

use crate::environment::Environment;
use crate::load::CLIENTS;
use crate::stats::median;
use crate::table::Table;

/// Rows of each statement: alone, and in a batch of the product.
const ROWS: [u32; 2] = [1, 16];

const NOT_FINAL: &str = "SELECT count(*) FROM orders WHERE completed_at IS NULL";

/// The statements of a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statements {
    /// Inserts orders.
    Insert,
    /// Inserts, claims and completes orders.
    Life,
}

/// The floors of one benchmark, one for each number of [`ROWS`].
pub(crate) struct Floors {
    statements: Statements,
    database: Database,
    /// Orders a second.
    measured: Vec<(u32, Vec<f64>)>,
}

impl Floors {
    pub(crate) async fn new(environment: &Environment, statements: Statements) -> anyhow::Result<Self> {
        let database = environment.postgres.database().await?;
        environment.binaries.migrate(database.url()).await?;
        Ok(Self {
            statements,
            database,
            measured: ROWS.map(|rows| (rows, Vec::new())).into(),
        })
    }

    /// One round.
    pub(crate) async fn measure(&mut self, measure: Duration) -> anyhow::Result<()> {
        let sql = self.database.connect().await?;
        for (rows, measured) in &mut self.measured {
            let transactions = pgbench(&self.database, self.statements, *rows, measure).await?;
            measured.push(transactions * f64::from(*rows));
            if self.statements == Statements::Life {
                let not_final: i64 = sql.query_one(NOT_FINAL, &[]).await?.get(0);
                ensure!(
                    not_final == 0,
                    "pgbench left {not_final} orders that are not final"
                );
            }
            sql.batch_execute("TRUNCATE orders").await?;
        }
        Ok(())
    }

    /// A table of these throughputs as shares of the floors.
    pub(crate) fn beside(&self, throughputs: impl IntoIterator<Item = (String, f64)>) -> Table {
        let floors: Vec<_> = self
            .measured
            .iter()
            .map(|(rows, measured)| (*rows, median(measured)))
            .collect();
        let heads = floors.iter().map(|(rows, _)| {
            let plural = if *rows == 1 { "row" } else { "rows" };
            format!("{rows} {plural} a statement, {} connections", connections(*rows))
        });
        let heads: Vec<String> = ["orders/s".to_owned()].into_iter().chain(heads).collect();
        let heads: Vec<&str> = ["beside the floor"]
            .into_iter()
            .chain(heads.iter().map(String::as_str))
            .collect();
        let mut table = Table::new(&heads);
        let cells = floors.iter().map(|(_, floor)| format!("{floor:.0}"));
        let first = ["PostgreSQL alone (pgbench)".to_owned(), String::new()];
        table.row(first.into_iter().chain(cells));
        for (name, throughput) in throughputs {
            let shares = floors
                .iter()
                .map(|(_, floor)| format!("{:.0} %", throughput / floor * 100.0));
            table.row([name, format!("{throughput:.0}")].into_iter().chain(shares));
        }
        table
    }
}

/// As many orders are in flight as a closed loop has clients.
fn connections(rows: u32) -> u32 {
    CLIENTS / rows
}

/// A time-ordered id, as the product's.
const ID: &str = "overlay(gen_random_uuid()::text PLACING \
    lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') FROM 1 FOR 13)::uuid";
const ITEMS: &str = r#"[{"product_name": "Widget", "quantity": 1, "unit_price_minor": 9999}]"#;
const TRACE: &str = r#"{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#;

/// A transaction's statements for this many orders without a payment, as in `store`'s `batches`.
fn script(statements: Statements, rows: u32) -> String {
    let ids = vec![ID; usize::try_from(rows).unwrap_or(1)].join(", ");
    let each = |value: &str| format!("array_fill({value}, ARRAY[{rows}])");
    let texts = [
        "'anonymous'",
        "'USD'",
        "'pending'",
        "NULL",
        "NULL",
        "'not_required'",
    ];
    let texts = texts.map(|text| each(&format!("{text}::text"))).join(", ");
    let (amounts, graces) = (each("9999::bigint"), each("interval '30 s'"));
    let (items, traces) = (
        each(&format!("'{ITEMS}'::jsonb")),
        each(&format!("'{TRACE}'::jsonb")),
    );
    let insert = format!(
        "INSERT INTO orders (id, amount, dispatch_after, \
           customer, currency, status, payment_method, payment_token, payment_status, items, trace_context) \
         SELECT id, amount, now() + grace, new.customer, currency, status, payment_method, payment_token, \
           payment_status, items, trace_context \
         FROM unnest(ARRAY[{ids}], {amounts}, {graces}, {texts}, {items}, {traces}) \
           AS new (id, amount, grace, customer, currency, status, payment_method, \
             payment_token, payment_status, items, trace_context)"
    );
    if statements == Statements::Insert {
        return format!("{insert} RETURNING created_at;\n");
    }
    let (attempts, payments) = (each("1"), each("NULL::text"));
    // The ids also serve as claim tokens. `\gset` takes the ids of all rows as one value.
    format!(
        "WITH inserted AS ({insert} RETURNING id) SELECT array_agg(id) AS ids FROM inserted \\gset\n\
         WITH free AS MATERIALIZED (SELECT job.*, place, crashed FROM unnest(\
           :ids::uuid[], {attempts}, :ids::uuid[], {traces}, {graces}) AS job (id, attempt, token, trace, lease), \
           LATERAL (SELECT orders.ctid AS place, \
             (orders.status = 'processing' AND orders.attempts_two_step = orders.attempt) AS crashed \
             FROM orders WHERE orders.id = job.id AND (\
               orders.attempt = job.attempt - 1 AND (orders.status = 'pending' \
                 OR orders.status = 'processing' AND orders.dispatch_after <= now()) \
               OR orders.attempt = job.attempt AND orders.status = 'processing' \
                 AND orders.claim_token = job.token) IS TRUE FOR UPDATE OF orders SKIP LOCKED) AS locked) \
         UPDATE orders SET status = 'processing', attempt = free.attempt, \
           attempts_two_step = attempts_two_step + (orders.attempt < free.attempt)::int, \
           attempts_forgiven = attempts_forgiven + (crashed AND orders.attempt < free.attempt)::int, \
           crashes = crashes + (crashed AND orders.attempt < free.attempt)::int, \
           claim_token = free.token, attempt_trace_context = free.trace, \
           dispatch_after = now() + (1 + random() / 4) * free.lease, updated_at = now() \
         FROM free WHERE orders.ctid = free.place RETURNING orders.*;\n\
         WITH held AS MATERIALIZED (SELECT job.payment, place FROM unnest(\
           :ids::uuid[], {attempts}, :ids::uuid[], {payments}) AS job (id, attempt, token, payment), \
           LATERAL (SELECT orders.ctid AS place FROM orders WHERE orders.id = job.id \
             AND orders.attempt = job.attempt \
             AND (orders.status = 'processing' AND orders.claim_token = job.token) IS TRUE \
             FOR UPDATE OF orders SKIP LOCKED) AS locked) \
         UPDATE orders SET status = 'completed', dispatch_after = NULL, waiting_since = NULL, crashes = 0, \
           completed_at = now(), updated_at = now(), \
           payment_status = CASE WHEN held.payment IS NULL THEN payment_status ELSE 'charged' END, \
           payment_id = coalesce(held.payment, payment_id), payment_token = NULL, failure_code = NULL, failure_detail = NULL \
         FROM held WHERE orders.ctid = held.place RETURNING orders.*;\n"
    )
}

/// Transactions per second.
async fn pgbench(
    database: &Database,
    statements: Statements,
    rows: u32,
    measure: Duration,
) -> anyhow::Result<f64> {
    let program = testkit::postgres_program("pgbench")
        .context("pgbench is not installed; it comes with PostgreSQL's server")?;
    let file = std::env::temp_dir().join(format!("throughline-bench-{}.sql", std::process::id()));
    fs::write(&file, script(statements, rows))?;
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
        .arg(format!("--client={}", connections(rows)))
        .arg(format!("--time={}", measure.as_secs().max(1)))
        .arg(format!("--file={}", file.display()))
        .arg(database.url())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    fs::remove_file(&file)?;
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "pgbench: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = tps.and_then(|line| line.split(' ').next());
    // It prints none if it finished no transaction.
    Ok(number.unwrap_or("0").parse()?)
}
