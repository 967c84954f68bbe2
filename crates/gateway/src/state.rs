//! The state that all handlers share.

use std::sync::Arc;

use crate::config::AcceptedKeys;
use crate::faults::FaultInjector;
use crate::ledger::Ledger;
use crate::results::Results;
use crate::stats::Stats;

pub(crate) struct Sandbox {
    pub(crate) keys: AcceptedKeys,
    pub(crate) ledger: Ledger,
    pub(crate) results: Arc<Results>,
    pub(crate) faults: FaultInjector,
    pub(crate) stats: Stats,
}
