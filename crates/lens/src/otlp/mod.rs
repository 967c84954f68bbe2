//! Conversion between OTLP's messages and the types of this crate.
//!
//! Only spans without valid ids are rejected, as the specification requires.

mod decode;
mod encode;
mod metrics;
mod size;
mod spans;
mod wire;

pub(crate) use decode::logs;
pub(crate) use encode::{logs_data, metrics_data, traces_data};
pub(crate) use metrics::metrics;
pub(crate) use size::{LOGS, METRICS, Message as MessageSize, Oversize, TRACES, check_json, check_protobuf};
pub(crate) use spans::{Decoded, spans};
pub(crate) use wire::Malformed;
