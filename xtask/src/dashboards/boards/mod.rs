//! The source of the dashboards: rows of panels, each with its queries. The names are those of the
//! collector's Prometheus exporter; `deploy/prometheus/README.md` has the settings that they depend on.

mod orders;
mod overview;
mod queue;
mod stores;
mod telemetry;

use super::panel::Board;

pub(super) const BOARDS: &[Board] = &[
    overview::OVERVIEW,
    orders::ORDERS,
    queue::QUEUE,
    stores::STORES,
    telemetry::TELEMETRY,
];
