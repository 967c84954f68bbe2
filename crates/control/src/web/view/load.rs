//! The load, and the responses to it.

use askama::Template;

use crate::load::Load;

#[derive(Template)]
#[template(path = "load.html")]
pub(in crate::web) struct LoadView {
    rate: u32,
    accepted: String,
    /// What did not work.
    others: String,
}

impl LoadView {
    pub(in crate::web) fn of(load: &Load) -> Self {
        let counts = load.counts();
        let others = [
            (counts.refused, "refused"),
            (counts.unknown, "without a response"),
            (counts.left_out, "left out"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others = others.map(|(count, what)| format!(", {} {what}", ui::grouped(count)));
        Self {
            rate: load.rate(),
            accepted: ui::grouped(counts.accepted),
            others: others.collect(),
        }
    }
}
