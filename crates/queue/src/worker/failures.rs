//! Records attempts that failed: in Redis, before the job is acknowledged.

use std::any::type_name_of_val;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::error::QueueError;
use crate::keys::Keys;
use crate::later::milliseconds;
use crate::queue::{Job, Queue};
use crate::scripts;

/// Backoff while Redis is unavailable. It doubles up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Characters of an error's text that are stored.
const MAX_MESSAGE: usize = 1000;

/// An attempt that failed.
pub(crate) struct FailedAttempt<'a> {
    pub(crate) id: &'a str,
    pub(crate) worker: &'a str,
    pub(crate) number: u32,
    pub(crate) error_type: &'a str,
    pub(crate) error_message: &'a str,
}

#[derive(Clone)]
pub(crate) struct Failures {
    connection: Connection,
    keys: Arc<Keys>,
    /// Notified when a job was stored for its next attempt.
    pub(crate) scheduled: Arc<Notify>,
}

impl Failures {
    pub(crate) fn new<J: Job>(queue: &Queue<J>) -> Self {
        Self {
            connection: queue.connection.clone(),
            keys: Arc::clone(&queue.keys),
            scheduled: Arc::default(),
        }
    }

    /// Stores the job for its next attempt after `backoff`, or without one as a dead letter. Returns once
    /// Redis has it: an unrecorded failure must not be acknowledged. At shutdown the caller is abandoned, and
    /// the attempt is redelivered.
    pub(crate) async fn record(&self, failed: &FailedAttempt<'_>, backoff: Option<Duration>) {
        let mut pause = MIN_BACKOFF;
        loop {
            match self.try_record(failed, backoff).await {
                Ok(true) => break,
                Ok(false) => {
                    tracing::warn!(
                        messaging.message.id = failed.id,
                        "a failed attempt was not recorded, because this worker no longer has the job"
                    );
                    return;
                }
                Err(error) => tracing::warn!(
                    messaging.message.id = failed.id,
                    exception.type = type_name_of_val(&error),
                    exception.message = %error,
                    "a failed attempt could not be recorded yet"
                ),
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_BACKOFF);
        }
        if backoff.is_some() {
            self.scheduled.notify_one();
        }
    }

    async fn try_record(
        &self,
        failed: &FailedAttempt<'_>,
        backoff: Option<Duration>,
    ) -> Result<bool, QueueError> {
        let keys = &self.keys;
        let mut script = scripts::FAIL.prepare_invoke();
        let inflight = keys.inflight_of(failed.worker);
        script.key(&[&keys.data, &keys.meta, &inflight, &keys.later, &keys.later]);
        script.key(&[&keys.dead_letters, &keys.dead_letters]);
        let message: String = failed.error_message.chars().take(MAX_MESSAGE).collect();
        script
            .arg(failed.id)
            .arg(failed.number)
            .arg(backoff.map_or(-1, milliseconds))
            .arg(failed.error_type)
            .arg(message);
        self.connection.run("record a failed attempt", &script).await
    }
}
