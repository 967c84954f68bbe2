//! The whole product, as real processes: the tests are in `tests/it`. Here is what they hold its telemetry to.

pub mod contract;
