//! A local OTLP receiver and trace viewer: the page on 8100, OTLP/gRPC on 4317, OTLP/HTTP on 4318.
//!
//! The same [`Lens`] runs in the binary and inside tests, which read its [`TelemetryStore`]. All data is in
//! memory, with an upper bound. lens does not trace itself.

mod attributes;
mod comparison;
mod config;
mod endpoint;
mod exposition;
#[cfg(test)]
mod fixtures;
mod format;
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod log;
mod map;
mod metric;
mod numbers;
mod otlp;
mod query;
mod rates;
mod receive;
mod samples;
mod saved;
mod search;
mod series;
mod server;
mod service_name;
mod storage;
mod summary;
mod systems;
mod timeline;
mod trace;
mod tree;
mod waterfall;
mod web;

pub use attributes::{Attributes, Value};
pub use config::LensConfig;
pub use endpoint::LensError;
pub use exposition::prometheus_text;
pub use format::printable;
pub use ids::{InvalidId, SpanId, TraceId};
pub use log::{LogRecord, Severity};
pub use map::{Calls, MapEdge, MapNode, NodeKind, ServiceMap};
pub use metric::{Metric, MetricKind, Point, PointValue, Temporality};
pub use query::{InvalidQuery, Query};
pub use rates::{Rates, RootSeries, RootStep};
pub use saved::Loaded;
pub use search::{Cursor, InvalidCursor, LogSearch, Page, TraceSearch};
pub use series::{DistributionSeries, MetricLine, MetricName, MetricQuery, MetricSeries};
pub use server::Lens;
pub use service_name::ServiceName;
pub use storage::TelemetryStore;
pub use summary::TraceSummary;
pub use timeline::Timeline;
pub use trace::{Dropped, Event, Link, Scope, Span, SpanKind, Status, Trace, kind_name};
pub use tree::{Row, Tree};
pub use waterfall::{CriticalPath, Segment, Wait};
