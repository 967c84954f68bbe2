//! What stands between the SDK and the collector: spans and log records are masked before they wait for their batch, what does
//! not fit into the queue is counted, and a collector that is away is said once a minute and no oftener.

mod delivery;
mod logs;
mod metrics;
mod protobuf;
mod spans;
mod written;

pub(crate) use delivery::{Delivery, Notices, Signal};
pub(crate) use logs::{LogDelivery, Logs};
pub(crate) use metrics::MetricDelivery;
pub(crate) use spans::{SpanDelivery, Spans};
pub(crate) use written::{Body, Written, WrittenBody};
