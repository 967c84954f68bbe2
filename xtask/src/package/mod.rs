//! `package`: the crates for others, as they would be published, and programs that are built with them.

mod programs;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::ensure;
use tokio::process::Command;

/// Package the crates for others, and build programs with them outside the workspace: a service whose request
/// must be one trace, and one with the blocking connections of diesel
#[derive(clap::Args)]
pub(crate) struct Package {}

const CRATES: [&str; 4] = [
    "throughline-settings",
    "throughline-mask",
    "throughline-queue",
    "throughline-telemetry",
];
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Package {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let target = testkit::workspace().join("target");
        let packages = package(&target).await?;
        let consumer = write_consumer(&target.join("package/consumer"), &packages)?;
        build(&consumer, &target).await?;
        println!("packaged and built in {} s", started.elapsed().as_secs());
        programs::run(&target.join("debug")).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The folders of the unpacked packages.
async fn package(target: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut cargo = testkit::cargo();
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    cargo.args(CRATES.iter().flat_map(|name| ["--package", name]));
    cargo.arg("--target-dir").arg(target);
    succeeded(cargo.status().await?, "cargo package")?;
    let folder = target.join("package");
    let mut packages = Vec::new();
    for name in CRATES {
        let package = folder.join(format!("{name}-{VERSION}"));
        if package.exists() {
            fs::remove_dir_all(&package)?;
        }
        let mut tar = Command::new("tar");
        // Without the times in the package, which are always the same: cargo would not build what changed.
        tar.arg("-xzmf")
            .arg(folder.join(format!("{name}-{VERSION}.crate")));
        succeeded(tar.arg("-C").arg(&folder).status().await?, "tar")?;
        packages.push(package);
    }
    Ok(packages)
}

/// A copy of `xtask/consumer` that takes the crates from the packages. The other dependencies have the
/// versions of the workspace.
fn write_consumer(folder: &Path, packages: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let source = testkit::workspace().join("xtask/consumer");
    fs::create_dir_all(folder.join("src/bin"))?;
    for file in ["src/main.rs", "src/bin/sync.rs"] {
        fs::copy(source.join(file), folder.join(file))?;
    }
    fs::copy(testkit::workspace().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut manifest = fs::read_to_string(source.join("Cargo.toml"))?;
    manifest.push_str("\n[patch.crates-io]\n");
    for (name, package) in CRATES.iter().zip(packages) {
        manifest.push_str(&format!("{name} = {{ path = {package:?} }}\n"));
    }
    fs::write(folder.join("Cargo.toml"), manifest)?;
    Ok(folder.to_owned())
}

/// The programs. The target folder is the workspace's: dependencies with the same features are compiled once.
async fn build(consumer: &Path, target: &Path) -> anyhow::Result<()> {
    let mut cargo = testkit::cargo();
    cargo.args(["build", "--quiet", "--features", "sync", "--target-dir"]);
    cargo.arg(target).current_dir(consumer);
    succeeded(cargo.status().await?, "cargo build")
}

fn succeeded(status: ExitStatus, what: &str) -> anyhow::Result<()> {
    ensure!(status.success(), "{what} failed");
    Ok(())
}
