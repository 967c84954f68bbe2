//! Where a server's program comes from: an installed one, one that is installed now, or a docker image.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::launch::{DATABASE_URL, Durability, Host, Kind, REDIS_URL};
use super::passwords::{Passwords, private_file, superuser_file};
use crate::docker::{self, Image};
use crate::install;
use crate::programs::{self, PostgresPrograms};
use crate::supervised::Task;
use crate::user::{self, User};

const POSTGRES_IMAGE: Image = Image {
    name: "postgres:17.6-bookworm",
    port: 5432,
    data: "/var/lib/postgresql/data",
    environment: &["POSTGRES_HOST_AUTH_METHOD=trust"],
};
const REDIS_IMAGE: Image = Image {
    name: "redis:7.4.5-bookworm",
    port: 6379,
    data: "/data",
    environment: &[],
};

const LOG: &str = "server.log";

/// Where the data of a new server comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// It is empty.
    New,
    /// The running PostgreSQL on this port, which it follows.
    Replica(u16),
    /// The running PostgreSQL on this port.
    Backup(u16),
}

#[derive(Debug)]
pub(super) enum ServerProgram {
    Redis(PathBuf),
    Postgres {
        programs: PostgresPrograms,
        user: Option<User>,
    },
    Container,
}

impl ServerProgram {
    /// Finds it, or installs it.
    pub(super) fn find(kind: Kind) -> anyhow::Result<Self> {
        if let Some(program) = Self::installed(kind) {
            return Ok(program);
        }
        let package = match kind {
            Kind::Postgres => "postgresql",
            Kind::Redis => "redis-server",
        };
        let installing = install::debian(package);
        if let Some(program) = Self::installed(kind) {
            return Ok(program);
        }
        if docker::is_available() {
            docker::fetch(&image(kind))?;
            return Ok(Self::Container);
        }
        if installing? {
            bail!("{package} was installed, but its programs were not found");
        }
        let (brew, variable, test_variable) = match kind {
            Kind::Postgres => ("postgresql@17", "DATABASE_URL", DATABASE_URL),
            Kind::Redis => ("redis", "REDIS_URL", REDIS_URL),
        };
        bail!(
            "{kind} is not installed and docker is not available. Install it (Debian, Ubuntu: `sudo apt-get install {package}`; \
             macOS: `brew install {brew}`), start docker, or set {variable} (in tests: {test_variable}) to the URL of a server"
        )
    }

    fn installed(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Redis => programs::redis_server().map(Self::Redis),
            Kind::Postgres => programs::postgres().map(|programs| Self::Postgres {
                programs,
                user: user::for_postgres(),
            }),
        }
    }

    /// The user that the server runs as, if it is not the current one.
    pub(super) fn user(&self) -> Option<&User> {
        match self {
            Self::Postgres { user, .. } => user.as_ref(),
            Self::Redis(_) | Self::Container => None,
        }
    }

    /// Creates the data folder inside `folder`, unless it exists.
    pub(super) fn prepare(
        &self,
        folder: &Path,
        origin: Origin,
        passwords: Option<&Passwords>,
    ) -> anyhow::Result<()> {
        let data = data(folder);
        match self {
            Self::Postgres { programs, user } if !data.exists() => match origin {
                Origin::Replica(primary) => {
                    base_backup(user.as_ref(), folder, &data, primary, &["--write-recovery-conf"])
                }
                Origin::Backup(primary) => base_backup(user.as_ref(), folder, &data, primary, &[]),
                Origin::New => initdb(programs, user.as_ref(), folder, &data, passwords.is_some()),
            },
            Self::Postgres { .. } => Ok(()),
            Self::Container if origin != Origin::New => {
                bail!(
                    "a replica or backup requires an installed PostgreSQL: `sudo apt-get install postgresql`"
                )
            }
            Self::Redis(_) | Self::Container => {
                if let Some(passwords) = passwords {
                    let password = format!("requirepass {}\n", passwords.programs);
                    private_file(&redis_configuration(folder), &password, None)?;
                }
                Ok(fs::create_dir_all(data)?)
            }
        }
    }

    /// The task that the supervisor runs.
    pub(super) fn task(
        &self,
        kind: Kind,
        durability: Durability,
        folder: &Path,
        port: u16,
        delete: Option<PathBuf>,
    ) -> Task {
        let data = data(folder);
        let (program, arguments, container) = match self {
            Self::Postgres { programs, .. } => (
                programs.postgres.clone(),
                kind.arguments(durability, &data, Host::Machine, port),
                None,
            ),
            Self::Redis(program) => {
                // A file, because every user of the machine can read a command line.
                let configuration = Some(redis_configuration(folder)).filter(|file| file.exists());
                let file = configuration.into_iter().map(|file| file.display().to_string());
                let arguments = kind.arguments(durability, &data, Host::Machine, port);
                (program.clone(), file.chain(arguments).collect(), None)
            }
            Self::Container => {
                let (image, server) = (image(kind), server(kind));
                let container = docker::container_name(server);
                let mut arguments = vec![server.to_owned()];
                arguments.extend(kind.arguments(
                    durability,
                    Path::new(image.data),
                    Host::Container,
                    image.port,
                ));
                (
                    PathBuf::from("docker"),
                    docker::run(&container, &image, port, &data, &arguments),
                    Some(container),
                )
            }
        };
        Task {
            arguments,
            user: self.user().cloned(),
            end: kind.shutdown_signal(),
            delete,
            container,
            ..Task::new(&kind.to_string(), program, folder, LOG)
        }
    }
}

/// The server's log file.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join(LOG)
}

fn image(kind: Kind) -> Image {
    match kind {
        Kind::Postgres => POSTGRES_IMAGE,
        Kind::Redis => REDIS_IMAGE,
    }
}

/// The server's command inside its image.
fn server(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => "postgres",
        Kind::Redis => "redis-server",
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Renames the data of a cluster that an earlier version made, to which every user of the machine may
/// connect.
pub(super) fn set_aside_open_data(folder: &Path) -> anyhow::Result<()> {
    let data = data(folder);
    if data.exists() && !superuser_file(folder).exists() {
        fs::rename(&data, folder.join("data.without-password"))?;
    }
    Ok(())
}

fn redis_configuration(folder: &Path) -> PathBuf {
    folder.join("redis.conf")
}

/// Creates a cluster. It gets its name only once it is complete, so an interrupted attempt is repeated.
fn initdb(
    programs: &PostgresPrograms,
    user: Option<&User>,
    folder: &Path,
    data: &Path,
    has_password: bool,
) -> anyhow::Result<()> {
    let unfinished = folder.join("data.unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let mut command = Command::new(&programs.initdb);
    if has_password {
        command
            .arg("--auth=scram-sha-256")
            .arg("--pwfile")
            .arg(superuser_file(folder));
    } else {
        // Every user of this machine may connect; the server only listens on the loopback interface.
        command.arg("--auth=trust");
    }
    command.args([
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--pgdata",
    ]);
    command.arg(&unfinished);
    run(command, user, folder)?;
    Ok(fs::rename(unfinished, data)?)
}

/// Copies a running cluster.
fn base_backup(
    user: Option<&User>,
    folder: &Path,
    data: &Path,
    primary: u16,
    options: &[&str],
) -> anyhow::Result<()> {
    let program = programs::postgres_program("pg_basebackup")
        .context("pg_basebackup, which comes with PostgreSQL, is not installed")?;
    let mut command = Command::new(program);
    command.args(["--host=127.0.0.1", "--username=postgres"]);
    command.args(["--checkpoint=fast", "--no-sync"]).args(options);
    command
        .args(["--port", &primary.to_string(), "--pgdata"])
        .arg(data);
    run(command, user, folder)
}

/// Runs one of PostgreSQL's programs to its end.
fn run(mut command: Command, user: Option<&User>, folder: &Path) -> anyhow::Result<()> {
    command.current_dir(folder);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", error.trim());
    }
    Ok(())
}
