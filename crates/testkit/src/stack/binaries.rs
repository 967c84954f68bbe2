//! Builds the services' programs, and finds them in cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

use super::service::Service;

const PRODUCT: [Service; 4] = [Service::Lens, Service::Gateway, Service::Api, Service::Worker];

/// cargo's arguments that build the product's programs, but not the xtask that may be running.
pub const BUILD: &str = "build --locked --workspace --exclude xtask --bins";

/// Set to anything, it permits a clone without the history that [`Binaries::of_commit`] needs.
const NO_HISTORY: &str = "THROUGHLINE_NO_HISTORY";

/// One of cargo's two profiles.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    #[default]
    Dev,
    Release,
}

impl Profile {
    /// The profile that a `--release` flag stands for.
    pub fn of(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    /// Its folder in the target folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// A folder with the services' programs.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Builds all programs, with cargo's progress on standard error.
    ///
    /// # Errors
    /// When cargo fails; it has printed the reason.
    pub async fn build(profile: Profile) -> anyhow::Result<Self> {
        cargo_build(profile, &["--bins"]).await?;
        Self::built(profile)
    }

    /// Builds one more program with these features; returns its path.
    ///
    /// # Errors
    /// When cargo fails; it has printed the reason.
    pub async fn build_extra(program: &str, features: &str) -> anyhow::Result<PathBuf> {
        let profile = Profile::default();
        cargo_build(profile, &["--bin", program, "--features", features]).await?;
        Ok(target_folder()?.join(profile.folder()).join(program))
    }

    /// The api and the worker of another commit, from the target folder if they were built before. `None` if
    /// the clone lacks the commit and THROUGHLINE_NO_HISTORY is set.
    ///
    /// # Errors
    /// When the clone lacks the commit, or cargo fails; it has printed the reason.
    pub async fn of_commit(commit: &str) -> anyhow::Result<Option<Self>> {
        let programs = target_folder()?.join("releases").join(commit);
        let binaries = Self(programs.clone());
        if binaries.program(Service::Api).is_file() && binaries.program(Service::Worker).is_file() {
            return Ok(Some(binaries));
        }
        let (source, build) = (programs.join("source"), programs.join("build"));
        if !export(commit, &source).await? {
            if std::env::var_os(NO_HISTORY).is_some() {
                return Ok(None);
            }
            bail!(
                "this clone lacks the commit {commit}, whose programs are needed: run `git fetch --unshallow`, \
                 or set {NO_HISTORY}=1 to do without"
            );
        }
        if !build_source(&source, &build).await? {
            bail!("cargo could not build the programs of {commit}: see its message above");
        }
        for service in [Service::Api, Service::Worker] {
            let built = build.join(Profile::Dev.folder()).join(service.binary());
            std::fs::rename(built, binaries.program(service))?;
        }
        for rest in [build, source] {
            std::fs::remove_dir_all(rest)?;
        }
        Ok(Some(binaries))
    }

    /// The programs of the last build.
    ///
    /// # Errors
    /// When one is missing.
    pub fn built(profile: Profile) -> anyhow::Result<Self> {
        let binaries = Self(target_folder()?.join(profile.folder()));
        for service in PRODUCT {
            let program = binaries.program(service);
            if !program.is_file() {
                bail!("{} is not built: run `cargo {BUILD}`", program.display());
            }
        }
        Ok(binaries)
    }

    /// Brings the schema of this database up to date.
    ///
    /// # Errors
    /// When the database is unreachable or a migration fails; the message has the program's message.
    pub async fn migrate(&self, database_url: &str) -> anyhow::Result<()> {
        let mut migrate = Command::new(self.program(Service::Api));
        migrate
            .arg("migrate")
            .env("DATABASE_URL", database_url)
            .env("OTEL_SDK_DISABLED", "true");
        let output = migrate.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.context("cannot run throughline-api migrate")?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            bail!(
                "throughline-api migrate failed: {}",
                message.trim().lines().last().unwrap_or_default()
            );
        }
        Ok(())
    }

    /// A service's program.
    #[must_use]
    pub fn program(&self, service: Service) -> PathBuf {
        self.0.join(service.binary())
    }
}

/// Writes the files of a commit into this folder; `false` if the clone lacks the commit.
async fn export(commit: &str, folder: &Path) -> anyhow::Result<bool> {
    const EXPORT: &str = "git archive --format=tar \"$1\" > \"$2.tar\" && tar -xf \"$2.tar\" -C \"$2\"";
    std::fs::create_dir_all(folder)?;
    let mut git = Command::new("sh");
    git.args(["-c", EXPORT, "sh", commit]).arg(folder);
    Ok(git.current_dir(crate::workspace()).status().await?.success())
}

/// Builds the api and the worker of a workspace in `source`; returns whether that worked.
async fn build_source(source: &Path, target: &Path) -> anyhow::Result<bool> {
    let mut cargo = crate::cargo();
    cargo.args(["build", "--locked", "--quiet"]);
    // Without debug information the build takes less time.
    cargo.args(["--config", "profile.dev.debug=false"]);
    cargo.args(["--bin", Service::Api.binary(), "--bin", Service::Worker.binary()]);
    cargo.arg("--target-dir").arg(target).current_dir(source);
    Ok(cargo.status().await.context("cannot run cargo")?.success())
}

/// Selects the same packages as `cargo xtask test`: another selection would unify features differently and
/// rebuild the dependencies.
async fn cargo_build(profile: Profile, what: &[&str]) -> anyhow::Result<()> {
    let mut cargo = crate::cargo();
    let selection = BUILD.split(' ').filter(|argument| *argument != "--bins");
    cargo.args(selection).arg("--quiet").args(what);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let status = cargo.status().await.context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo could not build the services: see its message above");
    }
    Ok(())
}

/// cargo's target folder. This program is in `<target>/<profile>/`, a test in `<target>/<profile>/deps/`.
fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().context("this program is in no folder")?;
    let profile = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    let target = profile
        .and_then(Path::parent)
        .context("this program is in no target folder")?;
    Ok(target.to_owned())
}
