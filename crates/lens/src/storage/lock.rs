//! Locks of the store.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ignores poisoning: a change that a panic interrupted does at most lose a few items of a viewer.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
