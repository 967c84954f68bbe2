//! The tokio runtimes of the process: that of the set-up, and those of actix-web's workers, each of which has
//! one on a thread of its own.

use std::cell::OnceCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor, RuntimeMetrics};

static RUNTIMES: Mutex<Runtimes> = Mutex::new(Runtimes {
    all: Vec::new(),
    next: 0,
});

struct Runtimes {
    all: Vec<(u64, RuntimeMetrics)>,
    /// The number of the next one.
    next: u64,
}

thread_local! {
    static OF_THREAD: OnceCell<OfThread> = const { OnceCell::new() };
}

/// The number of a runtime that ends with its thread.
struct OfThread(u64);

impl Drop for OfThread {
    fn drop(&mut self) {
        let removed = {
            let mut runtimes = lock();
            let place = runtimes.all.iter().position(|(number, _)| *number == self.0);
            place.map(|place| runtimes.all.swap_remove(place))
        };
        drop(removed);
    }
}

/// Measures the current runtime from now on.
pub(super) fn add_current() {
    match Handle::try_current() {
        Ok(runtime) if has_one_thread(&runtime) => add_of_thread(),
        Ok(runtime) => {
            add(&runtime);
        }
        Err(_) => {}
    }
}

/// Measures the runtime of this thread, if it has one alone, until the thread ends.
pub(crate) fn add_of_thread() {
    if let Some(runtime) = Handle::try_current().ok().filter(has_one_thread) {
        OF_THREAD.with(|of_thread| {
            of_thread.get_or_init(|| OfThread(add(&runtime)));
        });
    }
}

fn has_one_thread(runtime: &Handle) -> bool {
    runtime.runtime_flavor() == RuntimeFlavor::CurrentThread
}

fn add(runtime: &Handle) -> u64 {
    let mut runtimes = lock();
    let number = runtimes.next;
    runtimes.next += 1;
    runtimes.all.push((number, runtime.metrics()));
    number
}

/// The sum over all runtimes.
pub(super) fn sum(read: fn(&RuntimeMetrics) -> usize) -> usize {
    lock().all.iter().map(|(_, runtime)| read(runtime)).sum()
}

fn lock() -> MutexGuard<'static, Runtimes> {
    RUNTIMES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_of_one_thread_counts_once_and_until_its_thread_ends() {
        let count = || sum(RuntimeMetrics::num_workers);
        let before = count();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                add_of_thread();
                add_current();
            });
            assert_eq!(count(), before + 1);
        });
        thread.join().unwrap();
        assert_eq!(count(), before);
    }
}
