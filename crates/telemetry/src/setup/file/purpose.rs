//! What an exporter is for.

use std::time::Duration;

use settings::Env;

use crate::setup::signal::Signal;

#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) signal: &'a Signal,
    /// The longest time that a batch waits for its export.
    pub(super) batch_timeout: Duration,
    pub(super) env: &'a Env,
}
