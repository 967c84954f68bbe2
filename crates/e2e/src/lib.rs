//! The telemetry contract. The end-to-end tests, which run the product as real processes, are in `tests/it`.

pub mod contract;
