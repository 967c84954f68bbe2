//! What is stored back into OTLP.

mod common;
mod logs;
mod metrics;
mod traces;

pub(crate) use logs::logs_data;
pub(crate) use metrics::metrics_data;
pub(crate) use traces::traces_data;
