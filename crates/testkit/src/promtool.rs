//! Where the checker of Prometheus' rules comes from: an installed one, or one that is installed now.

use std::path::PathBuf;

use anyhow::bail;

use crate::{install, programs};

/// It has promtool too.
const PACKAGE: &str = "prometheus";

/// Finds promtool, or installs it.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to install.
pub fn find_promtool() -> anyhow::Result<PathBuf> {
    if let Some(program) = programs::promtool() {
        return Ok(program);
    }
    let installing = install::debian(PACKAGE);
    if let Some(program) = programs::promtool() {
        return Ok(program);
    }
    if installing? {
        bail!("{PACKAGE} was installed, but promtool was not found");
    }
    bail!(
        "promtool is not installed. Install it (Debian: `sudo apt-get install {PACKAGE}`; macOS: `brew install \
         {PACKAGE}`)"
    )
}
