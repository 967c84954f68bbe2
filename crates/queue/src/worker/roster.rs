//! Which workers Redis knows of as ours: whom upkeep keeps alive, and whom it has to release.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::incarnation::Incarnation;

/// The incarnations of one `work` that were registered in Redis and are not released yet.
#[derive(Default)]
pub(crate) struct Roster {
    registered: Mutex<Vec<Arc<Incarnation>>>,
    changed: Notify,
}

impl Roster {
    pub(crate) fn add(&self, incarnation: &Arc<Incarnation>) {
        let mut registered = self.lock();
        if !registered.iter().any(|known| Arc::ptr_eq(known, incarnation)) {
            registered.push(Arc::clone(incarnation));
        }
        drop(registered);
        self.changed.notify_one();
    }

    pub(crate) fn remove(&self, incarnation: &Arc<Incarnation>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, incarnation));
    }

    pub(crate) fn all(&self) -> Vec<Arc<Incarnation>> {
        self.lock().clone()
    }

    /// Says that an incarnation ended, or has less to wait for.
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Incarnation>>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
