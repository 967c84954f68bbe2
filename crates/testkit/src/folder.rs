//! Folders for the data of servers, owned by the user that the server runs as.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use crate::user::User;

/// A new folder for temporary data that `owner` (`None`: the current user) can reach. The caller deletes it.
pub(crate) fn temporary(owner: Option<&User>) -> anyhow::Result<PathBuf> {
    let name = format!("throughline-{}", Uuid::new_v4().simple());
    // The usual place may be closed to another user, for example in root's home.
    let places = [
        std::env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/var/tmp"),
    ];
    for place in places {
        let folder = place.join(&name);
        if ensure(&folder, owner)? {
            return Ok(folder);
        }
        fs::remove_dir_all(&folder)?;
    }
    anyhow::bail!(
        "PostgreSQL's user can reach no folder for temporary data: set TMPDIR to one that is open to all users"
    )
}

/// Creates `folder`, closed to others, unless it exists; returns whether `owner` owns it and can write in it.
pub(crate) fn ensure(folder: &Path, owner: Option<&User>) -> anyhow::Result<bool> {
    if !folder.exists() {
        let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        created.with_context(|| format!("cannot create the folder {}", folder.display()))?;
        if let Some(user) = owner {
            chown(folder, Some(user.uid), Some(user.gid))?;
        }
    }
    let Some(user) = owner else { return Ok(true) };
    Ok(fs::metadata(folder)?.uid() == user.uid && user.can_write(folder))
}

/// Where the data of `folder` goes when the server's user cannot reach it. The place depends on `folder`
/// alone, and survives a reboot.
pub(crate) fn open_to_all(folder: &Path) -> PathBuf {
    let name: Vec<_> = folder
        .iter()
        .filter_map(|part| part.to_str())
        .filter(|part| *part != "/")
        .collect();
    Path::new("/var/tmp").join(format!("throughline-{}", name.join("-")))
}
