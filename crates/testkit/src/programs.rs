//! Finds the servers' programs: on PATH, and where packages put them without adding them to PATH.

use std::path::{Path, PathBuf};

/// Lists folders, as PATH does, that are searched instead of all others: a test simulates a machine without
/// the programs by it.
const PROGRAMS_VARIABLE: &str = "THROUGHLINE_PROGRAMS";

/// Folders that package managers do not add to the PATH of a non-interactive shell.
const USUAL_FOLDERS: [&str; 8] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/pgsql/bin",
    "/usr/pgsql/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/postgresql@17/bin",
    "/opt/homebrew/opt/redis/bin",
];

/// Debian has one folder here for each major version of PostgreSQL.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// PostgreSQL's server and the program that creates its data folder, of one version.
#[derive(Clone, Debug)]
pub(crate) struct PostgresPrograms {
    pub(crate) postgres: PathBuf,
    pub(crate) initdb: PathBuf,
}

pub(crate) fn redis_server() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().find_map(installed)
}

pub(crate) fn postgres() -> Option<PostgresPrograms> {
    let both = |folder: PathBuf| {
        let programs = PostgresPrograms {
            postgres: folder.join("postgres"),
            initdb: folder.join("initdb"),
        };
        (programs.postgres.is_file() && programs.initdb.is_file()).then_some(programs)
    };
    folders().into_iter().find_map(both)
}

/// A program that comes with PostgreSQL's server, such as `pgbench`.
pub fn postgres_program(name: &str) -> Option<PathBuf> {
    installed(name)
}

/// A program that packages install under the same name everywhere.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    folders()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Whether a program of this name is on PATH.
pub(crate) fn on_path(name: &str) -> bool {
    let path = listed(PROGRAMS_VARIABLE).unwrap_or_else(|| listed("PATH").unwrap_or_default());
    path.iter().any(|folder| folder.join(name).is_file())
}

fn folders() -> Vec<PathBuf> {
    listed(PROGRAMS_VARIABLE).unwrap_or_else(|| {
        let mut folders = listed("PATH").unwrap_or_default();
        folders.extend(USUAL_FOLDERS.map(PathBuf::from));
        folders.extend(debian_versions(Path::new(DEBIAN_POSTGRES)));
        folders
    })
}

/// The folders that a variable lists; `None` where it is not set.
fn listed(variable: &str) -> Option<Vec<PathBuf>> {
    let list = std::env::var_os(variable)?;
    Some(std::env::split_paths(&list).collect())
}

/// The `bin` folders below `root`, newest version first.
fn debian_versions(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let root = std::env::temp_dir().join(format!("throughline-versions-{}", std::process::id()));
        for version in ["9", "15", "17", "not-a-version"] {
            std::fs::create_dir_all(root.join(version)).unwrap();
        }
        let found = debian_versions(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            found,
            ["17", "15", "9"].map(|version| root.join(version).join("bin"))
        );
    }
}
