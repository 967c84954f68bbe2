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
    /// The duration of a soak, and its orders a second.
    pub soak: Duration,
    pub soak_rate: u32,
    /// Numbers of processes in a fleet, beside one process of the other service.
    pub fleet_workers: &'static [usize],
    pub fleet_apis: &'static [usize],
    /// The duration of each measurement of a fleet.
    pub fleet_measure: Duration,
    /// How long a fleet is idle before it is measured: PostgreSQL's statistics are up to 10 s old.
    pub fleet_settle: Duration,
    /// Orders beside which the console's pages are read.
    pub viewed: i32,
    /// Open consoles, and how long they are measured while nothing happens.
    pub consoles: usize,
    pub idle: Duration,
    /// LENS_MAX_BYTES of the lens that is measured.
    pub lens_memory: &'static str,
    /// Exports of metrics that it gets before.
    pub lens_metrics: u32,
    /// Orders that are due at once for each kind of queue, and how long single ones are created.
    pub drained: i32,
    pub single: Duration,
    /// Requests of each page of the console and of lens.
    pub page_requests: usize,
}

impl Size {
    /// The size of the figures in BENCHMARKS.md: about 78 minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        measure: Duration::from_secs(5),
        waiting: 50_000,
        backlog: 100_000,
        stored: 10_000_000,
        due: 2_000_000,
        snapshot: Duration::from_secs(600),
        soak: Duration::from_secs(20 * 60),
        soak_rate: 1_000,
        fleet_workers: &[1, 4, 16, 64],
        fleet_apis: &[4, 16],
        fleet_measure: Duration::from_secs(30),
        fleet_settle: Duration::from_secs(12),
        viewed: 1_000_000,
        consoles: 200,
        idle: Duration::from_secs(60),
        lens_memory: "256MiB",
        lens_metrics: 200,
        drained: 20_000,
        single: Duration::from_secs(10),
        page_requests: 50,
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
        soak: Duration::from_secs(4),
        soak_rate: 50,
        fleet_workers: &[1, 2],
        fleet_apis: &[2],
        fleet_measure: Duration::from_secs(1),
        fleet_settle: Duration::ZERO,
        viewed: 20_000,
        consoles: 10,
        idle: Duration::from_secs(1),
        lens_memory: "32MiB",
        lens_metrics: 5,
        drained: 500,
        single: Duration::from_secs(1),
        page_requests: 3,
    };
}
