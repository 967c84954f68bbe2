//! The workers, as a part of the overview and of the queue's page.

use askama::Template;
use dispatch::workers::{self, REPORT_INTERVAL, Worker};
use ui::Moment;

use crate::state::AppState;

/// A worker that did not report for so many intervals is shown as not seen.
const MISSED: u32 = 3;

#[derive(Template)]
#[template(path = "parts/workers.html")]
pub(super) struct Workers {
    /// `None` while Redis is unreachable.
    rows: Option<Vec<Row>>,
    pub(super) busy: u64,
    pub(super) slots: u64,
}

struct Row {
    name: String,
    short: String,
    class: &'static str,
    version: String,
    is_leader: bool,
    busy: String,
    processed: String,
    started: Moment,
    /// What an operator should know of it.
    note: String,
}

impl Workers {
    pub(super) async fn read(state: &AppState) -> Self {
        let workers = workers::workers(state.dispatcher.queue()).await;
        let workers = workers
            .inspect_err(|error| tracing::debug!(%error, "cannot list the workers"))
            .ok();
        let reports = || workers.iter().flatten().map(|worker| &worker.report);
        Self {
            busy: reports().map(|report| report.busy).sum(),
            slots: reports()
                .map(|report| u64::try_from(report.concurrency).unwrap_or(0))
                .sum(),
            rows: workers.map(|workers| workers.iter().map(row).collect()),
        }
    }
}

/// A worker's name without the prefix that all have.
pub(super) fn short(name: &str) -> String {
    ui::shortened(name.trim_start_matches("throughline-worker-"))
}

fn row(worker: &Worker) -> Row {
    let report = &worker.report;
    let is_seen = worker.last_seen <= REPORT_INTERVAL * MISSED;
    let (class, note) = match report.gateway_available {
        _ if !is_seen => ("bad", format!("not seen for {}", ui::duration(worker.last_seen))),
        Some(false) => ("warn", "waits for the gateway".to_owned()),
        _ => ("", String::new()),
    };
    Row {
        name: worker.name.clone(),
        short: short(&worker.name),
        class,
        version: report.version.clone(),
        is_leader: report.is_leader,
        busy: format!("{} / {}", ui::grouped(report.busy), report.concurrency),
        processed: ui::grouped(report.processed),
        started: Moment::recent(report.started_at),
        note,
    }
}
