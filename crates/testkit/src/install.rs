//! Installs Debian's packages of the servers, where that is possible and allowed.
//!
//! Only the programs are wanted: the packages' own system services must not start, or they would hold 5432 and 6379 afterwards.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::programs::on_path;
use crate::user::is_root;

const SCRIPT: &str = include_str!("install.sh");

/// Installs `package`; answers `false` where that is not possible or not wanted. Asks first, unless we are root or in CI.
pub(crate) fn debian(package: &str) -> anyhow::Result<bool> {
    if !on_path("apt-get") || !(is_root() || on_path("sudo")) {
        return Ok(false);
    }
    let allowed = is_root() || std::env::var_os("CI").is_some();
    if !allowed && !ask(package)? {
        return Ok(false);
    }
    writeln!(stderr(), "installing Debian's package {package}")?;
    let mut command = Command::new(if is_root() { "sh" } else { "sudo" });
    if !is_root() {
        command.arg("sh");
    }
    // apt-get's own words go to standard error: our standard output is for what was asked of us.
    let status = command
        .args(["-c", SCRIPT, "install", package])
        .stdout(Stdio::from(stderr()))
        .status();
    if !status.context("cannot run apt-get")?.success() {
        bail!("apt-get could not install {package}: see its message above");
    }
    Ok(true)
}

fn ask(package: &str) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    write!(
        stderr(),
        "{package} is not installed. Install it with apt-get, through sudo? [y/N] "
    )?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
