//! One run of the apalis worker, under a name that is never used again.
//!
//! When a run ends with an error, apalis loses track of the jobs that still run and of acknowledgements that
//! it did not send yet. A registration tracks both, so that it can be deregistered without losing or
//! repeating a job.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobOutcome {
    Done,
    Unreadable,
}

impl JobOutcome {
    /// The job's status as apalis writes it.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Unreadable => "Killed",
        }
    }
}

/// A finished job. `enqueued_at` distinguishes it from a later job with the same id.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) id: Arc<str>,
    pub(crate) enqueued_at: String,
    pub(crate) outcome: JobOutcome,
}

/// The jobs that Redis may list as in flight under one registration, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) running: HashSet<Arc<str>>,
    /// The last jobs that finished. Most are acknowledged; only Redis knows which.
    pub(crate) finished: VecDeque<Finished>,
}

pub(crate) struct Registration {
    pub(crate) name: Arc<str>,
    /// Capacity of `InFlight::finished`, larger than the number of jobs that apalis can have finished and not
    /// acknowledged. apalis acknowledges nothing while a fetched batch waits for slots, while it fetches, and
    /// while it sends the previous acknowledgements, each time with up to `concurrency` jobs running.
    finished_capacity: usize,
    in_flight: Mutex<InFlight>,
    ended: AtomicBool,
    failure: OnceLock<Failure>,
}

impl Registration {
    pub(crate) fn new(name: String, concurrency: usize) -> Self {
        Self {
            name: name.into(),
            finished_capacity: concurrency.saturating_mul(4).saturating_add(16),
            in_flight: Mutex::default(),
            ended: AtomicBool::new(false),
            failure: OnceLock::new(),
        }
    }

    pub(crate) fn job_started(&self, id: &Arc<str>) {
        self.lock().running.insert(Arc::clone(id));
    }

    pub(crate) fn job_finished(&self, finished: Finished) {
        let mut in_flight = self.lock();
        in_flight.running.remove(&finished.id);
        if in_flight.finished.len() == self.finished_capacity {
            in_flight.finished.pop_front();
        }
        in_flight.finished.push_back(finished);
    }

    /// The job was stopped before it finished, and will be redelivered.
    pub(crate) fn job_abandoned(&self, id: &Arc<str>) {
        self.lock().running.remove(id);
    }

    pub(crate) fn in_flight(&self) -> InFlight {
        self.lock().clone()
    }

    /// From now on apalis neither fetches nor acknowledges under this name.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Records the error that ends the run. Only the first one counts: later errors follow from it.
    pub(crate) fn record_failure(&self, error: &apalis_redis::Error) {
        self.failure.get_or_init(|| Failure {
            error: error.to_string(),
            unfetchable_job: is_unfetchable_job(error),
        });
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.get().map(|failure| failure.error.clone())
    }

    /// Whether the run ended because the active list contains a job that can never be fetched.
    pub(crate) fn has_found_unfetchable_job(&self) -> bool {
        self.failure.get().is_some_and(|failure| failure.unfetchable_job)
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Failure {
    error: String,
    unfetchable_job: bool,
}

/// The fetch script returned a job without payload or meta. apalis reports this as an I/O error without a
/// specific kind. Treating another I/O error as this one only costs an unnecessary repair.
fn is_unfetchable_job(error: &apalis_redis::Error) -> bool {
    match error {
        apalis_redis::Error::Database(error) => {
            error.is_io_error() && !error.is_timeout() && !error.is_connection_dropped()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(registration: &Registration, id: &str) {
        let (id, enqueued_at) = (Arc::from(id), String::new());
        registration.job_finished(Finished {
            id,
            enqueued_at,
            outcome: JobOutcome::Done,
        });
    }

    #[test]
    fn a_finished_job_no_longer_runs_and_is_tracked() {
        let registration = Registration::new("w".into(), 1);
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        registration.job_started(&a);
        registration.job_started(&b);
        finish(&registration, "a");
        registration.job_abandoned(&b);
        let in_flight = registration.in_flight();
        assert!(in_flight.running.is_empty());
        assert_eq!(in_flight.finished.len(), 1);
        assert_eq!(&*in_flight.finished[0].id, "a");
    }

    #[test]
    fn the_number_of_tracked_finished_jobs_is_bounded() {
        let registration = Registration::new("w".into(), 1);
        for n in 0..1000 {
            finish(&registration, &n.to_string());
        }
        let finished = registration.in_flight().finished;
        assert_eq!(finished.len(), 20);
        assert_eq!(&*finished[19].id, "999");
    }
}
