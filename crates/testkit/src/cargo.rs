//! Running cargo from a program that cargo runs.

use std::ffi::OsString;

use tokio::process::Command;

/// What cargo tells the program that it runs, and that program alone.
const OF_A_PACKAGE: [&str; 7] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// The cargo that runs us, in the folder of the workspace; killed when dropped.
///
/// What it told us about our own package is kept from it: build scripts (ring's is one) ask to run again when such a variable
/// changes, so passing it on would build everything that depends on them anew, every time.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(name)) {
        cargo.env_remove(name);
    }
    cargo.current_dir(crate::workspace()).kill_on_drop(true);
    cargo
}

fn is_of_a_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    OF_A_PACKAGE.iter().any(|prefix| name.starts_with(prefix))
}
