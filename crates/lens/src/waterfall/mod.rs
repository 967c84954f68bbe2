//! The waterfall of a trace for a terminal, the [`Scale`] that it shares with the one for a browser, and the
//! critical path.

mod critical_path;
mod scale;
pub(crate) mod text;

pub use critical_path::{CriticalPath, Segment, Wait};
pub(crate) use scale::{Scale, error_type};
