//! Everything between the SDK and the collector: spans and log records are masked before they are queued,
//! records that do not fit into the queue are counted, and an unreachable collector is logged at most once a
//! minute.

mod accounting;
mod http;
mod logs;
mod metrics;
mod protobuf;
mod queue;
mod runtime;
mod spans;

pub(crate) use accounting::{Accounting, Counted, ExportReport, Signal};
pub(crate) use http::{Encoding, HttpExporter};
pub(crate) use logs::{AdmittedRecords, EncodedRecords};
pub(crate) use queue::ExportQueue;
pub(crate) use runtime::ExportRuntime;
pub(crate) use spans::{EncodedSpans, MaskedSpans};
