//! The registrations of this process that Redis knows: upkeep sends their heartbeats and deregisters those
//! that ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::registration::Registration;

/// The registrations of one `work` call that are in Redis and not deregistered yet.
#[derive(Default)]
pub(crate) struct Registry {
    registrations: Mutex<Vec<Arc<Registration>>>,
    changed: Notify,
}

impl Registry {
    pub(crate) fn add(&self, registration: &Arc<Registration>) {
        let mut registrations = self.lock();
        if !registrations.iter().any(|known| Arc::ptr_eq(known, registration)) {
            registrations.push(Arc::clone(registration));
        }
        drop(registrations);
        self.changed.notify_one();
    }

    pub(crate) fn remove(&self, registration: &Arc<Registration>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, registration));
    }

    pub(crate) fn all(&self) -> Vec<Arc<Registration>> {
        self.lock().clone()
    }

    /// Wakes upkeep: a registration has ended.
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Registration>>> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
