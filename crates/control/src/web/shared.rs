//! What the tasks of the room and the handlers of its server share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use super::door::Keys;
use crate::audit::Audit;
use crate::faults::Faults;
use crate::load::Load;
use crate::part::Part;
use crate::system::System;
use crate::usage::{Sampler, Usage};
use crate::walk::Walk;

/// Of the services; the workspace has one version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Open pages.
const MAX_STREAMS: usize = 32;

/// The parts of the room.
pub(crate) struct Parts {
    pub(crate) system: Arc<System>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) load: Arc<Load>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) walk: Walk,
    /// How long the orders of a killed worker wait at most.
    pub(crate) lease: Duration,
}

pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(super) keys: Keys,
    /// That of the room: actions and connections belong to it, not to a thread of the server.
    pub(super) runtime: Handle,
    pub(super) streams: Arc<Semaphore>,
    walk_trouble: Mutex<Option<String>>,
    versions: Mutex<BTreeMap<Part, String>>,
    usage: Mutex<(Sampler, HashMap<i32, Usage>)>,
    /// The live elements, rendered once for all pages.
    elements: watch::Sender<Arc<Vec<String>>>,
}

impl Shared {
    /// Call it inside the runtime of the room.
    pub(crate) fn new(parts: Parts, keys: Keys) -> Self {
        Self {
            parts,
            keys,
            runtime: Handle::current(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            walk_trouble: Mutex::default(),
            versions: Mutex::default(),
            usage: Mutex::default(),
            elements: watch::channel(Arc::default()).0,
        }
    }

    /// Why the walk cannot go on, if it cannot.
    pub(crate) fn set_walk_trouble(&self, trouble: Option<String>) {
        *locked(&self.walk_trouble) = trouble;
    }

    pub(super) fn walk_trouble(&self) -> Option<String> {
        locked(&self.walk_trouble).clone()
    }

    pub(crate) fn set_versions(&self, versions: BTreeMap<Part, String>) {
        *locked(&self.versions) = versions;
    }

    /// The version of a part, if it is known.
    pub(super) fn version(&self, part: Part) -> Option<String> {
        match part {
            Part::PostgreSql | Part::Redis => locked(&self.versions).get(&part).cloned(),
            _ => Some(VERSION.to_owned()),
        }
    }

    /// Measures the processes.
    pub(super) fn measure(&self) {
        let statuses = self.parts.system.statuses().into_iter();
        let pids: Vec<i32> = statuses.filter_map(|(_, status)| status.pid).collect();
        let (sampler, usage) = &mut *locked(&self.usage);
        *usage = sampler.sample(&pids);
    }

    /// What a process used at the last measurement.
    pub(super) fn usage(&self, pid: i32) -> Option<Usage> {
        locked(&self.usage).1.get(&pid).copied()
    }

    /// Sends the live elements to open pages.
    pub(super) fn publish(&self, elements: Vec<String>) {
        self.elements.send_replace(Arc::new(elements));
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Vec<String>>> {
        self.elements.subscribe()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
