//! How much a run measures.

use std::time::Duration;

/// How much a run measures.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Measurements of each mode.
    pub rounds: usize,
    /// The duration of one measurement.
    pub measure: Duration,
    /// Clients that wait for events.
    pub waiting: usize,
    /// Orders that are due at once.
    pub backlog: i32,
    /// Final orders in a large table.
    pub stored: i32,
    /// Orders that are due in a large table.
    pub due: i32,
    /// How long a snapshot is held open.
    pub snapshot: Duration,
}

impl Size {
    /// The size of the figures in BENCHMARKS.md: about 40 minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        measure: Duration::from_secs(5),
        waiting: 10_000,
        backlog: 100_000,
        stored: 10_000_000,
        due: 2_000_000,
        snapshot: Duration::from_secs(600),
    };
    /// Some seconds of measurements, to check that every benchmark runs.
    pub const SHORT: Self = Self {
        rounds: 1,
        measure: Duration::from_secs(1),
        waiting: 200,
        backlog: 1_000,
        stored: 20_000,
        due: 1_000,
        snapshot: Duration::from_secs(2),
    };
}
