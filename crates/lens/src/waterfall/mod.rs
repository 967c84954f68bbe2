//! The waterfall of a trace for a terminal, and the [`Scale`] that it shares with the one for a browser.

mod scale;
pub(crate) mod text;

pub(crate) use scale::{Scale, error_type};
