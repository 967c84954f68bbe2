//! Stands in for the collector's receivers of PostgreSQL and Redis: sends their metrics to lens. As
//! theirs, they are absent while a store does not respond.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::deployment::Deployment;

/// The receivers' 15 s are a quarter of a second of a drill; they may miss one of two.
const INTERVAL: Duration = Duration::from_millis(500);
const COLLECTOR: &str = "deploy/collector/observability.yaml";
const STATISTICS: &str = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('max_connections')::bigint, pg_database_size(current_database()), xact_commit, xact_rollback,
        deadlocks
    FROM pg_stat_database WHERE datname = current_database()";
const ROWS: &str = "SELECT relname::text, n_live_tup, n_dead_tup FROM pg_stat_user_tables";

/// A metric of a receiver: name, unit, whether it is a monotonic sum, and its values by attributes.
type Metric = (&'static str, &'static str, bool, Vec<(Value, f64)>);

/// Sends both until the load ends; returns only with an error.
pub(super) async fn send(deployment: &Deployment) -> anyhow::Result<std::convert::Infallible> {
    let otlp = deployment.lens.lock().await.ports().otlp_http_url();
    let redis_url = deployment.redis.lock().await.url().to_owned();
    let snapshot = snapshot_statement()?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let postgres = timeout(INTERVAL, postgres(deployment, &snapshot));
        let redis = timeout(INTERVAL, redis(&redis_url));
        let (postgres, redis) = tokio::join!(postgres, redis);
        for (service, metrics) in [("postgresql", postgres), ("redis", redis)] {
            if let Ok(Ok(metrics)) = metrics {
                // lens may be the fault.
                let _ = export(&deployment.http, &otlp, service, metrics).await;
            }
        }
    }
}

/// The statement of the collector's receiver `sqlquery`.
fn snapshot_statement() -> anyhow::Result<String> {
    let text = std::fs::read_to_string(testkit::workspace().join(COLLECTOR))?;
    let collector: Value = serde_saphyr::from_str(&text)?;
    let sql = collector.pointer("/receivers/sqlquery~1postgresql/queries/0/sql");
    let sql = sql.and_then(Value::as_str);
    Ok(sql.context("the collector has no statement")?.to_owned())
}

async fn postgres(deployment: &Deployment, snapshot: &str) -> anyhow::Result<Vec<Metric>> {
    let sql = deployment.database.connect().await?;
    let statistics = sql.query_one(STATISTICS, &[]).await?;
    let age: f64 = sql.query_one(snapshot, &[]).await?.try_get(0)?;
    let mut rows = Vec::new();
    for row in sql.query(ROWS, &[]).await? {
        let table: String = row.try_get(0)?;
        for (column, state) in [(1, "live"), (2, "dead")] {
            let attributes = json!({ "state": state, "db.collection.name": table });
            rows.push((attributes, double(row.try_get(column)?)));
        }
    }
    let number = |column: usize| -> anyhow::Result<Vec<(Value, f64)>> {
        Ok(vec![(json!({}), double(statistics.try_get(column)?))])
    };
    Ok(vec![
        ("postgresql.backends", "1", false, number(0)?),
        ("postgresql.connection.max", "{connections}", false, number(1)?),
        ("postgresql.db_size", "By", false, number(2)?),
        ("postgresql.commits", "1", true, number(3)?),
        ("postgresql.rollbacks", "1", true, number(4)?),
        ("postgresql.deadlocks", "{deadlock}", true, number(5)?),
        ("postgresql.rows", "1", false, rows),
        ("postgresql.snapshot.age", "s", false, vec![(json!({}), age)]),
    ])
}

async fn redis(url: &str) -> anyhow::Result<Vec<Metric>> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    let number = |name: &str| {
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|value| value.trim().parse().ok());
        vec![(json!({}), value.unwrap_or_default())]
    };
    Ok(vec![
        (
            "redis.clients.connected",
            "{client}",
            false,
            number("connected_clients"),
        ),
        (
            "redis.commands.processed",
            "{command}",
            true,
            number("total_commands_processed"),
        ),
        ("redis.keys.evicted", "{key}", true, number("evicted_keys")),
        ("redis.maxmemory", "By", false, number("maxmemory")),
        ("redis.memory.used", "By", false, number("used_memory")),
        ("redis.uptime", "s", true, number("uptime_in_seconds")),
    ])
}

/// As OTLP JSON.
async fn export(
    http: &reqwest::Client,
    otlp: &str,
    service: &str,
    metrics: Vec<Metric>,
) -> anyhow::Result<()> {
    let now = chrono::Utc::now()
        .timestamp_nanos_opt()
        .unwrap_or_default()
        .to_string();
    let metrics: Vec<Value> = metrics
        .into_iter()
        .map(|(name, unit, monotonic, values)| {
            let points = values.into_iter().map(|(attributes, value)| {
                let attributes = attributes.as_object().into_iter().flatten();
                let attributes: Vec<Value> = attributes
                    .map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }))
                    .collect();
                json!({ "attributes": attributes, "timeUnixNano": now, "asDouble": value })
            });
            let sum = json!({
                "dataPoints": points.collect::<Vec<_>>(),
                "aggregationTemporality": 2,
                "isMonotonic": monotonic,
            });
            json!({ "name": name, "unit": unit, "sum": sum })
        })
        .collect();
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
    let body =
        json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": metrics }] }] });
    let sent = http.post(format!("{otlp}/v1/metrics")).json(&body).send().await?;
    sent.error_for_status()?;
    Ok(())
}

/// Exact below 2^53.
fn double(number: i64) -> f64 {
    let number = u64::try_from(number).unwrap_or_default();
    let half = |bits: u64| f64::from(u32::try_from(bits & 0xffff_ffff).unwrap_or_default());
    half(number >> 32) * 4_294_967_296.0 + half(number)
}
