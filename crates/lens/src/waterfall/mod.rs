//! The waterfall of a trace for a terminal, the [`Scale`] that it shares with the one for a browser, and the
//! critical path.

mod critical_path;
mod nodes;
mod scale;
pub(crate) mod text;
mod wait;

pub use critical_path::CriticalPath;
pub(crate) use scale::{Scale, error_type};
pub use wait::{Segment, Wait};
