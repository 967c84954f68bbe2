//! Where the tools of tests come from: installed ones, or ones that are installed now.

use std::path::PathBuf;

use anyhow::bail;

use crate::{install, programs};

/// Finds chromedriver, which starts Chromium, or installs both.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to install.
pub fn find_chromedriver() -> anyhow::Result<PathBuf> {
    // It depends on the package with the browser.
    find(
        "chromedriver",
        "chromium-driver",
        "Chromium and chromedriver are not installed. Install them (Debian: `sudo apt-get install chromium-driver`; \
         macOS: `brew install --cask chromium chromedriver`)",
    )
}

/// Finds promtool, the checker of Prometheus' rules, or installs Prometheus.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to install.
pub fn find_promtool() -> anyhow::Result<PathBuf> {
    find(
        "promtool",
        "prometheus",
        "promtool is not installed. Install it (Debian: `sudo apt-get install prometheus`; macOS: `brew install \
         prometheus`)",
    )
}

/// Finds Prometheus, or installs it.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to install.
pub(crate) fn find_prometheus() -> anyhow::Result<PathBuf> {
    find(
        "prometheus",
        "prometheus",
        "Prometheus is not installed. Install it (Debian: `sudo apt-get install prometheus`; macOS: `brew install \
         prometheus`)",
    )
}

fn find(tool: &str, package: &str, missing: &'static str) -> anyhow::Result<PathBuf> {
    if let Some(program) = programs::installed(tool) {
        return Ok(program);
    }
    let installing = install::debian(package);
    if let Some(program) = programs::installed(tool) {
        return Ok(program);
    }
    if installing? {
        bail!("{package} was installed, but {tool} was not found");
    }
    bail!(missing)
}
