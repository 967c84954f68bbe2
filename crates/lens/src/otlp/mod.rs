//! Between OTLP's messages and the types of this crate.
//!
//! Decoding takes the messages apart without copying their texts. Only what has no valid id is rejected, as the
//! specification asks; everything else is kept as it came.

mod decode;
mod encode;
mod metrics;

pub(crate) use decode::{Decoded, logs, spans};
pub(crate) use encode::traces_data;
pub(crate) use metrics::metrics;
