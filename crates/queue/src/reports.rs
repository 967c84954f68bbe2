//! What the processes that work on a queue report of themselves, for a console. A report costs one command,
//! and nothing but a console reads them.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::QueueError;
use crate::queue::{Job, Queue};
use crate::scripts;

/// A process that has not reported for so long is no longer listed.
pub const REPORT_TTL: Duration = Duration::from_secs(120);

/// The latest report of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<T> {
    /// The process.
    pub process: String,
    /// How long ago it reported, by Redis' clock; in whole seconds.
    pub age: Duration,
    /// What it reported.
    pub report: T,
}

impl<J: Job> Queue<J> {
    /// Stores what this process reports of itself.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn report(&self, process: &str, report: &impl Serialize) -> Result<(), QueueError> {
        // Text and numbers: serializing them does not fail.
        let report = serde_json::to_string(report).unwrap_or_default();
        let mut script = scripts::REPORT.prepare_invoke();
        script.key(&self.keys.reports);
        script.arg(process).arg(report).arg(REPORT_TTL.as_secs());
        let _: u64 = self.connection.run("report a process", &script).await?;
        Ok(())
    }

    /// Deletes the report of a process that ends.
    ///
    /// # Errors
    /// Redis is unavailable. The report is then deleted after [`REPORT_TTL`].
    pub async fn delete_report(&self, process: &str) -> Result<(), QueueError> {
        redis::cmd("HDEL")
            .arg(&self.keys.reports)
            .arg(process)
            .exec_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("delete a report", source))
    }

    /// The latest report of each process that has reported within [`REPORT_TTL`], by name. Leaves out reports
    /// of a version whose reports differ.
    ///
    /// # Errors
    /// Redis is unavailable.
    pub async fn reports<T: DeserializeOwned>(&self) -> Result<Vec<Report<T>>, QueueError> {
        let mut script = scripts::REPORTS.prepare_invoke();
        script.key(&self.keys.reports).arg(REPORT_TTL.as_secs());
        let flat: Vec<String> = self.connection.run("list the processes", &script).await?;
        let (entries, _) = flat.as_chunks::<3>();
        let mut reports: Vec<Report<T>> = entries
            .iter()
            .filter_map(|[process, age, report]| {
                Some(Report {
                    process: process.clone(),
                    age: Duration::from_secs(age.parse().ok()?),
                    report: serde_json::from_str(report).ok()?,
                })
            })
            .collect();
        reports.sort_by(|a, b| a.process.cmp(&b.process));
        Ok(reports)
    }
}
