//! The workers, as each reports itself every few seconds.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ProcessOrder;
use queue::{Queue, QueueError};
use serde::{Deserialize, Serialize};

/// What a worker reports of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// The version of its program.
    pub version: String,
    /// When the process started, by its clock.
    pub started_at: DateTime<Utc>,
    /// Orders that it processes at the same time, at most.
    pub concurrency: usize,
    /// Orders that it processes now.
    pub busy: u64,
    /// Orders that it has processed since it started.
    pub processed: u64,
    /// Whether its circuit breaker lets orders be charged; `None` without a gateway.
    pub gateway_available: Option<bool>,
    /// Since when.
    pub gateway_since: Option<DateTime<Utc>>,
    /// Whether it does what one worker does for all: reconcile, count, and execute operations.
    pub is_leader: bool,
}

/// A worker that has reported within the last two minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The name of its process.
    pub name: String,
    /// How long ago it reported. Much longer than [`REPORT_INTERVAL`]: it died, or Redis was unreachable.
    pub last_seen: Duration,
    /// What it reported.
    pub report: WorkerReport,
}

/// How often a worker reports itself.
pub const REPORT_INTERVAL: Duration = queue::HEARTBEAT;

/// The workers of this queue, by name.
///
/// # Errors
/// Redis is unavailable.
pub async fn workers(queue: &Queue<ProcessOrder>) -> Result<Vec<Worker>, QueueError> {
    let reports = queue.reports().await?;
    let worker = |report: queue::Report<WorkerReport>| Worker {
        name: report.process,
        last_seen: report.age,
        report: report.report,
    };
    Ok(reports.into_iter().map(worker).collect())
}
