//! The passwords of a server whose data stays: other users of the machine can reach its port.
//!
//! Servers for tests have none. They live for minutes, hold nothing but what a test wrote, and their tests
//! connect as superusers to stop, promote and damage them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use crate::user::User;

#[derive(Debug)]
pub(crate) struct Passwords {
    /// Of the superuser `postgres`.
    pub(crate) superuser: String,
    /// Of the role that the programs connect as, and of Redis' only user.
    pub(crate) programs: String,
}

impl Passwords {
    /// Those of the server in `folder`; new ones for a new server.
    pub(crate) fn of(folder: &Path, owner: Option<&User>) -> anyhow::Result<Self> {
        let password = |name: &str| {
            let file = folder.join(name);
            if !file.exists() {
                // 122 random bits, by the system's generator.
                private_file(&file, &Uuid::new_v4().simple().to_string(), owner)?;
            }
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        Ok(Self {
            superuser: password(SUPERUSER)?,
            programs: password("password")?,
        })
    }
}

/// The name of the file with the superuser's password.
const SUPERUSER: &str = "superuser.password";

/// Where initdb finds the superuser's password.
pub(crate) fn superuser_file(folder: &Path) -> PathBuf {
    folder.join(SUPERUSER)
}

/// Writes a file that only `owner` (`None`: the current user) can read.
pub(crate) fn private_file(file: &Path, content: &str, owner: Option<&User>) -> anyhow::Result<()> {
    let unfinished = file.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_file(&unfinished)?;
    }
    // A new file: the folder may be another user's, who could have placed a link there.
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished);
    let mut opened = opened.with_context(|| format!("cannot write {}", unfinished.display()))?;
    opened.write_all(content.as_bytes())?;
    if let Some(user) = owner {
        fchown(&opened, Some(user.uid), Some(user.gid))?;
    }
    Ok(fs::rename(unfinished, file)?)
}
