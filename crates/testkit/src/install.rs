//! Installs Debian's packages of the servers, where that is possible and allowed.
//!
//! The packages' system services must not start: they would keep ports 5432 and 6379.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::process::Command;

use anyhow::{Context, bail};

use crate::programs::on_path;
use crate::user::is_root;

const SCRIPT: &str = include_str!("install.sh");

/// Installs `package`; returns `false` where that is not possible or not wanted. Prompts first, unless the
/// current user is root or this is CI.
pub(crate) fn debian(package: &str) -> anyhow::Result<bool> {
    if !on_path("apt-get") || !(is_root() || on_path("sudo")) {
        return Ok(false);
    }
    let allowed = is_root() || std::env::var_os("CI").is_some();
    if !allowed && !confirm(package)? {
        return Ok(false);
    }
    writeln!(stderr(), "installing Debian's package {package}")?;
    let mut command = Command::new(if is_root() { "sh" } else { "sudo" });
    if !is_root() {
        command.arg("sh");
    }
    // sudo prompts for the password at the terminal itself.
    let output = command.args(["-c", SCRIPT, "install", package]).output();
    let output = output.context("cannot run apt-get")?;
    if !output.status.success() {
        let why = reason(&String::from_utf8_lossy(&output.stderr));
        bail!("apt-get could not install {package}: {why}");
    }
    Ok(true)
}

/// The first error in what apt-get printed; the later ones are mostly advice.
fn reason(output: &str) -> String {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines.clone().find_map(|line| line.strip_prefix("E: "));
    error
        .or(lines.next_back())
        .unwrap_or("it gives no reason")
        .to_owned()
}

fn confirm(package: &str) -> anyhow::Result<bool> {
    if !stdin().is_terminal() {
        return Ok(false);
    }
    write!(
        stderr(),
        "{package} is not installed. Install it with apt-get, through sudo? [y/N] "
    )?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_apt_is_one_line() {
        let output = "W: Failed to fetch http://mirror/InRelease\nE: Unable to locate package postgresql\n\nE: Try apt-get update\n";
        assert_eq!(reason(output), "Unable to locate package postgresql");
        assert_eq!(reason("sh: apt-get: broken\n"), "sh: apt-get: broken");
        assert_eq!(reason(""), "it gives no reason");
    }
}
