//! Sends the workers' heartbeats, puts back the jobs of dead workers, and deregisters workers that stopped.
//!
//! apalis' own heartbeat is switched off (see `monitor.rs`): it pauses while fetched jobs wait for a free
//! slot, so a worker busy with slow jobs would count as dead.

use std::any::type_name_of_val;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::registration::Registration;
use super::registry::Registry;
use crate::connection::Connection;
use crate::error::QueueError;
use crate::keys::Keys;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Interval of a worker's heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// A worker without a heartbeat for this long counts as dead, and its jobs are delivered to others: six
/// heartbeats.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);

/// Jobs per call of the repair script.
const REPAIR_CHUNK: usize = 1000;

#[derive(Clone)]
pub(crate) struct Upkeep {
    connection: Connection,
    keys: Arc<Keys>,
}

impl Upkeep {
    pub(crate) fn new<J: Job>(queue: &Queue<J>) -> Self {
        Self {
            connection: queue.connection.clone(),
            keys: Arc::clone(&queue.keys),
        }
    }

    /// Runs [`tick`](Self::tick) at every heartbeat. Never returns.
    pub(crate) async fn run(self, registry: Arc<Registry>) {
        loop {
            if let Err(error) = self.tick(&registry).await {
                tracing::debug!(
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "upkeep failed and is retried"
                );
            }
            // At once after a registration: apalis writes its first heartbeat by the worker's clock, which
            // may be wrong.
            let _ = timeout(HEARTBEAT, registry.changed()).await;
        }
    }

    async fn tick(&self, registry: &Registry) -> Result<(), QueueError> {
        let workers = registry.all();
        let names: Vec<_> = workers.iter().map(|worker| &*worker.name).collect();
        self.heartbeat_and_recover(&names).await?;
        for worker in workers.iter().filter(|worker| worker.has_ended()) {
            self.deregister(worker, registry).await?;
        }
        Ok(())
    }

    /// Sends the heartbeats of the workers named `alive`, puts back the jobs of dead workers, and deletes
    /// their keys.
    pub(crate) async fn heartbeat_and_recover(&self, alive: &[&str]) -> Result<(), QueueError> {
        let keys = &self.keys;
        let mut script = scripts::UPKEEP.prepare_invoke();
        script.key(&[&keys.workers, &keys.inflight, &keys.active, &keys.data]);
        script.key(&[
            &keys.meta,
            &keys.worker_metadata,
            &keys.wake,
            &keys.scheduled,
            &keys.idle,
        ]);
        script.arg(DEAD_AFTER.as_secs()).arg(alive);
        let (dead, returned, lost): (u64, u64, u64) = self
            .connection
            .run("recover the jobs of dead workers", &script)
            .await?;
        if dead > 0 {
            tracing::warn!("{dead} workers died: {returned} jobs put back, {lost} lost");
        }
        Ok(())
    }

    /// Deregisters a worker that stopped. While some of its jobs run it stays registered, and this is called
    /// again.
    async fn deregister(&self, worker: &Arc<Registration>, registry: &Registry) -> Result<(), QueueError> {
        let (keys, name) = (&self.keys, &*worker.name);
        let in_flight = worker.in_flight();
        let mut script = scripts::DEREGISTER.prepare_invoke();
        let (inflight_key, metadata) = (keys.inflight_of(name), keys.metadata_of(name));
        script.key(&[&keys.workers, &inflight_key, &keys.active, &keys.data, &keys.meta]);
        script.key(&[&metadata, &keys.done, &keys.dead, &keys.wake, &keys.idle]);
        script.arg(name).arg(in_flight.finished.len());
        for job in &in_flight.finished {
            script
                .arg(&*job.id)
                .arg(&job.enqueued_at)
                .arg(job.outcome.status());
        }
        for id in &in_flight.running {
            script.arg(&**id);
        }
        let (acknowledged, returned, lost): (u64, u64, u64) =
            self.connection.run("deregister a worker", &script).await?;
        if in_flight.running.is_empty() {
            registry.remove(worker);
        }
        if acknowledged + returned + lost > 0 {
            tracing::info!(
                messaging.client.id = name,
                "a stopped worker's jobs: {acknowledged} acknowledged, {returned} put back, {lost} lost"
            );
        }
        Ok(())
    }

    /// Removes jobs that cannot be fetched from the active list: each would end the worker that fetches it.
    pub(crate) async fn repair(&self) -> Result<(), QueueError> {
        let keys = &self.keys;
        let waiting: usize = redis::cmd("LLEN")
            .arg(&keys.active)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("repair the queue", source))?;
        let (mut moved, mut lost) = (0, 0);
        while moved < waiting {
            let mut script = scripts::REPAIR.prepare_invoke();
            script.key(&[&keys.active, &keys.data, &keys.meta]);
            script.arg(REPAIR_CHUNK);
            let (seen, dropped): (usize, usize) = self.connection.run("repair the queue", &script).await?;
            if seen == 0 {
                break;
            }
            moved += seen;
            lost += dropped;
        }
        if lost > 0 {
            tracing::error!("Redis lost the payloads of {lost} jobs, which were dropped");
        }
        Ok(())
    }

    /// Deregisters all workers, as the last step of shutdown; gives up after `limit`.
    pub(crate) async fn deregister_all(&self, registry: &Registry, limit: Duration) {
        let deregister = async {
            for worker in registry.all() {
                self.deregister(&worker, registry).await?;
            }
            Ok::<(), QueueError>(())
        };
        let (kind, failure) = match timeout(limit, deregister).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => (type_name_of_val(&error), error.to_string()),
            Err(elapsed) => (type_name_of_val(&elapsed), "timeout".to_owned()),
        };
        tracing::warn!(
            exception.type = kind,
            exception.message = failure,
            "the worker was not deregistered; its jobs in flight are redelivered when it counts as dead",
        );
    }
}
