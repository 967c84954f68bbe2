//! The user that runs PostgreSQL, which refuses to run as root.

use std::path::Path;
use std::process::Command;

use std::os::unix::process::CommandExt;

/// A user of this machine.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user without privileges that Unix systems have by convention.
const UNPRIVILEGED: User = User {
    uid: 65534,
    gid: 65534,
};

/// The user that runs PostgreSQL: the current one (`None`), or, as root, `postgres` or else the unprivileged
/// user.
pub(crate) fn for_postgres() -> Option<User> {
    is_root().then(|| named("postgres").unwrap_or(UNPRIVILEGED))
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl User {
    /// Whether this user can write in `folder`; a parent folder may be closed to it.
    pub(crate) fn can_write(&self, folder: &Path) -> bool {
        let mut test = Command::new("test");
        test.arg("-w")
            .arg(folder)
            .current_dir("/")
            .uid(self.uid)
            .gid(self.gid);
        test.status().is_ok_and(|status| status.success())
    }
}

fn named(name: &str) -> Option<User> {
    Some(User {
        uid: id("-u", name)?,
        gid: id("-g", name)?,
    })
}

/// Uses `id`, which knows the users of every name service; /etc/passwd only has some.
fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
