//! Everything between the SDK and the collector: spans and log records are masked before they are queued,
//! records that do not fit into the queue are counted, and an unreachable collector is logged at most once a
//! minute.

mod accounting;
#[cfg(feature = "http-proto")]
mod encoded;
#[cfg(feature = "http-proto")]
mod http;
#[cfg(feature = "http-json")]
mod json;
mod logs;
mod masked;
mod metrics;
#[cfg(feature = "http-proto")]
mod protobuf;
#[cfg(feature = "http-proto")]
mod queue;
mod runtime;
mod spans;

pub(crate) use accounting::{Accounting, Counted, ExportReport, Signal};
#[cfg(feature = "http-proto")]
pub(crate) use encoded::{EncodedRecords, EncodedSpans};
#[cfg(feature = "http-proto")]
pub(crate) use http::{Encoding, HttpExporter};
pub(crate) use logs::AdmittedRecords;
pub use masked::MaskedProcessor;
#[cfg(feature = "http-proto")]
pub(crate) use queue::ExportQueue;
pub(crate) use runtime::ExportRuntime;
pub(crate) use spans::MaskedSpans;
