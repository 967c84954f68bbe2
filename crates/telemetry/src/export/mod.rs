//! Everything between the SDK and the collector: spans and log records are masked before they are queued,
//! records that do not fit into the queue are counted, and an unreachable collector is logged at most once a
//! minute.

mod accounting;
mod admission;
mod counted;
#[cfg(feature = "http-proto")]
mod encoded;
#[cfg(feature = "http-proto")]
mod http;
#[cfg(feature = "http-json")]
mod json;
#[cfg(feature = "http-proto")]
mod protobuf;
#[cfg(feature = "http-proto")]
mod queue;
mod runtime;

pub(crate) use accounting::{Accounting, ExportReport, Signal};
pub(crate) use admission::AdmittedRecords;
pub use admission::MaskedProcessor;
pub(crate) use counted::Counted;
#[cfg(feature = "http-proto")]
pub(crate) use http::{Encoding, HttpExporter};
#[cfg(feature = "http-proto")]
pub(crate) use queue::ExportQueue;
pub(crate) use runtime::ExportRuntime;
