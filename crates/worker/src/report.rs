//! Reports this worker to Redis, where the console reads the reports of all workers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dispatch::workers::{REPORT_INTERVAL, WorkerReport};
use domain::ProcessOrder;
use queue::{Queue, WorkOptions};
use service::{Next, every};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::leadership::IsLeader;
use crate::payment::Gateway;

/// Timeout of deleting the report at shutdown. After that it ends by itself.
const DELETE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reports until `shutdown` is cancelled, and then deletes the report.
pub(crate) async fn report_worker(
    queue: &Queue<ProcessOrder>,
    worker: &WorkOptions,
    gateway: Option<&Gateway>,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    let started_at = Utc::now();
    let mut latest: Option<(bool, DateTime<Utc>)> = None;
    every(REPORT_INTERVAL, shutdown, async || {
        let Some(name) = worker.health.name() else {
            return Next::AfterInterval;
        };
        let available = gateway.map(Gateway::is_available);
        latest = available.map(|available| match latest {
            Some((before, since)) if before == available => (available, since),
            _ => (available, Utc::now()),
        });
        let report = WorkerReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            concurrency: worker.concurrency,
            busy: worker.health.busy(),
            processed: worker.health.processed(),
            gateway_available: available,
            gateway_since: latest.map(|(_, since)| since),
            is_leader: is_leader.get(),
        };
        if let Err(error) = queue.report(name, &report).await {
            tracing::debug!(%error, "this worker is not reported");
        }
        Next::AfterInterval
    })
    .await;
    // An error leaves the report, which then ends by itself.
    if let Some(name) = worker.health.name() {
        let _ = timeout(DELETE_TIMEOUT, queue.delete_report(name)).await;
    }
}
