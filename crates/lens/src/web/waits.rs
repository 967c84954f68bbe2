//! What a trace waited for, as shares of its time.

use std::time::Duration;

use super::palette::Palette;
use crate::waterfall::{CriticalPath, Wait};

/// The width of all shares, in SVG units.
const CANVAS: u128 = 1_000;

pub(super) struct Share {
    pub(super) colour: &'static str,
    pub(super) name: String,
    pub(super) time: String,
    pub(super) percent: String,
    pub(super) x: u128,
    pub(super) width: u128,
}

/// Longest first.
pub(super) fn shares(path: &CriticalPath<'_>, palette: &Palette) -> Vec<Share> {
    let total = path.total();
    let mut before = Duration::ZERO;
    let mut shares = Vec::new();
    for (wait, time) in path.sums() {
        let place = |time: Duration| {
            (time.as_nanos() * CANVAS)
                .checked_div(total.as_nanos())
                .unwrap_or_default()
        };
        shares.push(Share {
            colour: colour(wait, palette),
            name: wait.to_string(),
            time: ui::duration(time),
            percent: ui::percent(time.as_secs_f64(), total.as_secs_f64()),
            x: place(before),
            width: place(before + time) - place(before),
        });
        before += time;
    }
    shares
}

/// Services have the same colour everywhere; other waits have one of their own.
pub(super) fn colour(wait: Wait<'_>, palette: &Palette) -> &'static str {
    match wait {
        Wait::Store("Redis") => "c-redis",
        Wait::Store(_) => "c-store",
        Wait::Service(name) if palette.has(name) => palette.class(name),
        Wait::Service(_) => "c-host",
        Wait::Queue => "c-queue",
        Wait::OwnCode => "c-own",
        _ => "c-none",
    }
}
