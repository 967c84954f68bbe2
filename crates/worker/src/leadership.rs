//! At most one worker of a database reconciles, and does what else is done once for the whole database. The
//! others stand by, and one of them takes over when the leader stops or its lease ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::{Store, StoreError};
use uuid::Uuid;

/// The name of the lease in PostgreSQL.
const LEASE: &str = "reconciler";
/// A leader that died is replaced within this time plus [`CHECK_INTERVAL`].
const LEASE_LENGTH: Duration = Duration::from_secs(4);
/// Interval at which the leader renews its lease, and the others try to take it.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of giving the lease up at shutdown. After that it ends by itself.
const RESIGN_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether this worker is the leader, as of the last check; shared by all clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct IsLeader(Arc<AtomicBool>);

impl IsLeader {
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, leads: bool) {
        self.0.store(leads, Ordering::Relaxed);
    }
}

pub(crate) struct Leadership {
    store: Store,
    holder: Uuid,
    is_leader: IsLeader,
    checked_at: Option<Instant>,
    /// By this machine's clock, from before the statement that took or renewed the lease: never later than
    /// its end in PostgreSQL.
    ends_at: Option<Instant>,
}

impl Leadership {
    pub(crate) fn new(store: Store, is_leader: IsLeader) -> Self {
        Self {
            store,
            holder: Uuid::now_v7(),
            is_leader,
            checked_at: None,
            ends_at: None,
        }
    }

    /// Whether this worker is the leader. Takes or renews the lease if the last check is older than a second.
    pub(crate) async fn check(&mut self) -> Result<bool, StoreError> {
        let result = self.renew_if_due().await;
        self.is_leader.set(matches!(result, Ok(true)));
        result
    }

    async fn renew_if_due(&mut self) -> Result<bool, StoreError> {
        if self.checked_at.is_none_or(|at| at.elapsed() >= CHECK_INTERVAL) {
            let sent_at = Instant::now();
            let held = self.store.hold_lease(LEASE, self.holder, LEASE_LENGTH).await?;
            self.checked_at = Some(sent_at);
            self.ends_at = held.then(|| sent_at + LEASE_LENGTH);
        }
        Ok(self.ends_at.is_some_and(|at| Instant::now() < at))
    }

    /// Gives the lease up, so that another worker takes over at its next check.
    pub(crate) async fn resign(self) {
        self.is_leader.set(false);
        let end = self.store.end_lease(LEASE, self.holder);
        match tokio::time::timeout(RESIGN_TIMEOUT, end).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the reconciler's lease ends by itself"),
            Err(_) => tracing::debug!("the reconciler's lease ends by itself: timeout"),
        }
    }
}
