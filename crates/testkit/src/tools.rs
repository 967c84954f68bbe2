//! Where the browser of tests comes from: an installed one, or one that is installed now.

use std::path::PathBuf;

use anyhow::bail;

use crate::{install, programs};

/// It depends on the package with the browser.
const PACKAGE: &str = "chromium-driver";

/// Finds chromedriver, which starts Chromium, or installs both.
///
/// # Errors
/// When it is missing and cannot be installed; the message says what to install.
pub fn find_chromedriver() -> anyhow::Result<PathBuf> {
    if let Some(program) = programs::chromedriver() {
        return Ok(program);
    }
    let installing = install::debian(PACKAGE);
    if let Some(program) = programs::chromedriver() {
        return Ok(program);
    }
    if installing? {
        bail!("{PACKAGE} was installed, but chromedriver was not found");
    }
    bail!(
        "Chromium and chromedriver are not installed. Install them (Debian: `sudo apt-get install {PACKAGE}`; \
         macOS: `brew install --cask chromium chromedriver`)"
    )
}
