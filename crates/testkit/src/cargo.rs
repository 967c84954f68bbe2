//! Runs cargo from a program that cargo runs.

use std::ffi::OsString;

use tokio::process::Command;

/// Prefixes of the variables by which cargo describes a package to the package's own program.
const PACKAGE_VARIABLES: [&str; 7] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// The cargo that runs this program, in the folder of the workspace; killed when dropped.
///
/// The variables about this program's package are removed: some build scripts (ring's is one) run again when
/// one of them changes, and then everything that depends on those scripts is rebuilt each time.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_package_variable(name)) {
        cargo.env_remove(name);
    }
    cargo.current_dir(crate::workspace()).kill_on_drop(true);
    cargo
}

fn is_package_variable(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    PACKAGE_VARIABLES.iter().any(|prefix| name.starts_with(prefix))
}
