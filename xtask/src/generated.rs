//! Files that a command makes from their source.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// Writes the file and prints its path; with `check`, writes nothing.
///
/// # Errors
/// When it cannot be written; with `check`, when it differs: the message names the `command` that makes it.
pub(crate) fn write(path: &Path, content: &str, check: bool, command: &str) -> anyhow::Result<()> {
    if check {
        if fs::read_to_string(path).ok().as_deref() != Some(content) {
            bail!("{} is not up to date: run `{command}`", path.display());
        }
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a file in no folder")?)?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
