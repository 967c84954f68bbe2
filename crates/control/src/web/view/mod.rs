//! What the templates show: a view of each part of the page.

mod faults;
mod load;
mod numbers;
mod output;
mod processes;
mod rates;
mod walk;

pub(super) use faults::FaultsView;
pub(super) use load::LoadView;
pub(super) use numbers::NumbersView;
pub(super) use output::OutputView;
pub(super) use processes::{ProcessesView, Row};
pub(super) use rates::Rates;
pub(super) use walk::WalkView;
