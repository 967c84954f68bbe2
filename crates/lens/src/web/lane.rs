//! The lane of a span: where its bar is in a drawing of its trace.

use crate::waterfall::Scale;

/// The width of a lane, in SVG units.
pub(super) const WIDTH: usize = 10_000;
/// The smallest visible bar.
const MIN_BAR: usize = WIDTH / 250;
/// Indentation stops at this depth, which keeps the names of a deep trace visible.
pub(super) const MAX_DRAWN_DEPTH: usize = 16;

/// A part of a lane.
pub(super) struct Bar {
    pub(super) x: usize,
    pub(super) width: usize,
}

impl Bar {
    pub(super) fn of(scale: &Scale, start_unix_nano: u64, end_unix_nano: u64) -> Self {
        let [x, end] = [start_unix_nano, end_unix_nano].map(|time| scale.place(time, WIDTH));
        let width = end.saturating_sub(x).max(MIN_BAR);
        Self {
            x: x.min(WIDTH - width),
            width,
        }
    }
}
