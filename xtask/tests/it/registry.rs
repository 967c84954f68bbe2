//! The registry of signals is that of the telemetry contract.

use crate::xtask::Xtask;

#[test]
fn the_registry_is_that_of_the_contract() {
    Xtask::new("registry").run("registry --check").succeeds();
}
