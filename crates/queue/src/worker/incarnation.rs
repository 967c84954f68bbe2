//! One life of the apalis worker, from its registration until it ends, under a name that is never used again.
//!
//! apalis forgets what it holds when its run ends with an error: jobs that still run, and acknowledgements that were not
//! sent yet. An incarnation remembers, so that it can be released without losing or repeating any.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// How a job ended, spelled as apalis spells its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Unreadable,
}

impl Fate {
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Unreadable => "Killed",
        }
    }
}

/// A job that ended. The time tells it from a later job of the same id.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    pub(crate) id: Arc<str>,
    pub(crate) enqueued_at: String,
    pub(crate) fate: Fate,
}

/// What an incarnation holds, as far as this process knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) running: HashSet<Arc<str>>,
    /// The last jobs that ended. Most are acknowledged; which, only Redis knows.
    pub(crate) finished: VecDeque<Finished>,
}

pub(crate) struct Incarnation {
    pub(crate) name: Arc<str>,
    /// More than apalis can have finished and not acknowledged: it acknowledges nothing while a fetched batch waits for
    /// room, while it fetches, and while it acknowledges the ones before, each with up to `concurrency` running.
    remember: usize,
    holdings: Mutex<Holdings>,
    ended: AtomicBool,
    failure: OnceLock<Failure>,
}

impl Incarnation {
    pub(crate) fn new(name: String, concurrency: usize) -> Self {
        Self {
            name: name.into(),
            remember: concurrency.saturating_mul(4).saturating_add(16),
            holdings: Mutex::default(),
            ended: AtomicBool::new(false),
            failure: OnceLock::new(),
        }
    }

    pub(crate) fn job_started(&self, id: &Arc<str>) {
        self.lock().running.insert(Arc::clone(id));
    }

    pub(crate) fn job_finished(&self, finished: Finished) {
        let mut holdings = self.lock();
        holdings.running.remove(&finished.id);
        if holdings.finished.len() == self.remember {
            holdings.finished.pop_front();
        }
        holdings.finished.push_back(finished);
    }

    /// The job was stopped before it ended: whoever is next delivers it again.
    pub(crate) fn job_abandoned(&self, id: &Arc<str>) {
        self.lock().running.remove(id);
    }

    pub(crate) fn holdings(&self) -> Holdings {
        self.lock().clone()
    }

    /// apalis will fetch and acknowledge no more under this name.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// apalis met this error, and ends. Later ones follow from it.
    pub(crate) fn failed(&self, error: &apalis_redis::Error) {
        self.failure.get_or_init(|| Failure {
            error: error.to_string(),
            unfetchable_job: is_unfetchable_job(error),
        });
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.get().map(|failure| failure.error.clone())
    }

    /// Whether it ended because the list of waiting jobs names one that can never be fetched.
    pub(crate) fn has_found_unfetchable_job(&self) -> bool {
        self.failure.get().is_some_and(|failure| failure.unfetchable_job)
    }

    fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Failure {
    error: String,
    unfetchable_job: bool,
}

/// The fetch script handed out a job without payload or meta. apalis reports this as "invalid data" in an I/O error,
/// without a kind of its own; any other I/O error only costs a look at the list.
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

    fn finish(incarnation: &Incarnation, id: &str) {
        let (id, enqueued_at) = (Arc::from(id), String::new());
        incarnation.job_finished(Finished {
            id,
            enqueued_at,
            fate: Fate::Done,
        });
    }

    #[test]
    fn a_finished_job_no_longer_runs_and_is_remembered() {
        let incarnation = Incarnation::new("w".into(), 1);
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        incarnation.job_started(&a);
        incarnation.job_started(&b);
        finish(&incarnation, "a");
        incarnation.job_abandoned(&b);
        let holdings = incarnation.holdings();
        assert!(holdings.running.is_empty());
        assert_eq!(holdings.finished.len(), 1);
        assert_eq!(&*holdings.finished[0].id, "a");
    }

    #[test]
    fn memory_is_bounded() {
        let incarnation = Incarnation::new("w".into(), 1);
        for n in 0..1000 {
            finish(&incarnation, &n.to_string());
        }
        let finished = incarnation.holdings().finished;
        assert_eq!(finished.len(), 20);
        assert_eq!(&*finished[19].id, "999");
    }
}
