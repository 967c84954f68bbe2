//! What keeps workers alive in Redis, takes over from those that died, and takes leave for those that ended.
//!
//! apalis' own heartbeat is switched off (see `monitor.rs`): it pauses while fetched jobs wait for a free slot, so a
//! worker busy with slow jobs would be taken for dead.

use std::any::type_name_of_val;
use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{DEAD_AFTER, HEARTBEAT, incarnation::Incarnation, roster::Roster};
use crate::{
    connection::Connection,
    error::QueueError,
    keys::Keys,
    queue::{Job, Queue},
    scripts,
};

/// Jobs in one call of the repair script.
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

    /// Keeps the roster's workers alive and releases those that ended; takes over from dead ones. Never returns.
    pub(crate) async fn run(self, roster: Arc<Roster>) {
        loop {
            if let Err(error) = self.tick(&roster).await {
                tracing::debug!(
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "upkeep must wait"
                );
            }
            // At once when a worker registered: it did so by its own clock, which may be wrong.
            let _ = timeout(HEARTBEAT, roster.changed()).await;
        }
    }

    async fn tick(&self, roster: &Roster) -> Result<(), QueueError> {
        let workers = roster.all();
        let names: Vec<_> = workers.iter().map(|worker| &*worker.name).collect();
        self.recover(&names).await?;
        for worker in workers.iter().filter(|worker| worker.has_ended()) {
            self.release(worker, roster).await?;
        }
        Ok(())
    }

    /// Puts back the jobs of all workers that died, and deletes what they left. `alive` are kept alive.
    pub(crate) async fn recover(&self, alive: &[&str]) -> Result<(), QueueError> {
        let keys = &self.keys;
        let mut script = scripts::UPKEEP.prepare_invoke();
        script.key(&[&keys.workers, &keys.inflight, &keys.active, &keys.data]);
        script.key(&[&keys.meta, &keys.worker_metadata, &keys.wake]);
        script.arg(DEAD_AFTER.as_secs()).arg(alive);
        let (dead, returned, lost): (u64, u64, u64) =
            self.connection.run("look for dead workers", &script).await?;
        if dead > 0 {
            tracing::warn!(dead, returned, lost, "workers died; their jobs were put back");
        }
        Ok(())
    }

    /// Takes leave for a worker that ended. While jobs of it still run it stays on the roster, to be called again.
    pub(crate) async fn release(&self, worker: &Arc<Incarnation>, roster: &Roster) -> Result<(), QueueError> {
        let (keys, name) = (&self.keys, &*worker.name);
        let holdings = worker.holdings();
        let mut script = scripts::RELEASE.prepare_invoke();
        let (inflight, metadata) = (keys.inflight_of(name), keys.metadata_of(name));
        script.key(&[&keys.workers, &inflight, &keys.active, &keys.data, &keys.meta]);
        script.key(&[&metadata, &keys.done, &keys.dead, &keys.wake]);
        script.arg(name).arg(holdings.finished.len());
        for job in &holdings.finished {
            script.arg(&*job.id).arg(&job.enqueued_at).arg(job.fate.status());
        }
        for id in &holdings.running {
            script.arg(&**id);
        }
        let (acknowledged, returned, lost): (u64, u64, u64) =
            self.connection.run("release a worker", &script).await?;
        if holdings.running.is_empty() {
            roster.remove(worker);
        }
        if acknowledged + returned + lost > 0 {
            tracing::info!(
                worker = name,
                acknowledged,
                returned,
                lost,
                "a worker's jobs were released"
            );
        }
        Ok(())
    }

    /// Drops what cannot be fetched from the list of waiting jobs: each would end the worker that meets it.
    pub(crate) async fn repair(&self) -> Result<(), QueueError> {
        let keys = &self.keys;
        let waiting: usize = redis::cmd("LLEN")
            .arg(&keys.active)
            .query_async(&mut self.connection.clone())
            .await
            .map_err(|source| self.connection.error("repair the queue", source))?;
        let (mut turned, mut lost) = (0, 0);
        while turned < waiting {
            let mut script = scripts::REPAIR.prepare_invoke();
            script.key(&[&keys.active, &keys.data, &keys.meta]);
            script.arg(REPAIR_CHUNK);
            let (seen, unfit): (usize, usize) = self.connection.run("repair the queue", &script).await?;
            if seen == 0 {
                break;
            }
            turned += seen;
            lost += unfit;
        }
        if lost > 0 {
            tracing::error!(lost, "Redis lost payloads; their jobs were dropped");
        }
        Ok(())
    }

    /// [`release`](Self::release) for all, at the very end, when waiting longer would help nobody.
    pub(crate) async fn release_all(&self, roster: &Roster, patience: Duration) {
        let release = async {
            for worker in roster.all() {
                self.release(&worker, roster).await?;
            }
            Ok::<(), QueueError>(())
        };
        let (kind, failure) = match timeout(patience, release).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => (type_name_of_val(&error), error.to_string()),
            Err(late) => (type_name_of_val(&late), "no answer in time".to_owned()),
        };
        tracing::warn!(
            exception.type = kind,
            exception.message = failure,
            "could not take leave of Redis; jobs still held are delivered again when this worker counts as dead",
        );
    }
}
