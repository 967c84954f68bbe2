//! A local OTLP receiver and trace viewer: the page on 8100, OTLP gRPC on 4317, OTLP/HTTP on 4318.
//!
//! The same [`Lens`] runs in the binary and inside tests, which read what arrived from its [`TraceStore`].
//! It keeps everything in memory, bounded, and does not trace itself.

#![warn(missing_docs)]

mod attributes;
mod config;
#[cfg(test)]
mod fixtures;
mod ids;
mod listener;
mod log;
mod metric;
mod otlp;
mod receive;
mod server;
mod store;
mod summary;
mod trace;
mod tree;
mod waterfall;
mod web;

pub use attributes::{Attributes, Value};
pub use config::LensConfig;
pub use ids::{InvalidId, SpanId, TraceId};
pub use listener::LensError;
pub use log::{LogRecord, Severity};
pub use metric::{Metric, MetricKind, Point, PointValue, Temporality};
pub use server::Lens;
pub use store::{TraceFilter, TraceStore};
pub use summary::TraceSummary;
pub use trace::{Dropped, Event, Link, Scope, Span, SpanKind, Status, Trace};
pub use tree::{Row, Tree};
