//! Runs servers in containers, where docker is available and the server's programs can not be installed.

use std::io::stderr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;
use uuid::Uuid;

use crate::programs::on_path;
use crate::user;

/// Whether a docker engine responds.
pub(crate) fn is_available() -> bool {
    if !on_path("docker") {
        return false;
    }
    let docker = Command::new("docker")
        .arg("info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    docker.is_ok_and(|status| status.success())
}

/// Fetches an image unless the engine has it; that can take minutes, and shows docker's own progress.
pub(crate) fn fetch(image: &Image) -> anyhow::Result<()> {
    let inspect = Command::new("docker")
        .args(["image", "inspect", image.name])
        .output()?;
    if inspect.status.success() {
        return Ok(());
    }
    let pull = Command::new("docker")
        .args(["pull", image.name])
        .stdout(stderr())
        .status()?;
    ensure!(
        pull.success(),
        "docker cannot fetch the image {}: see its message above",
        image.name
    );
    Ok(())
}

/// A name for a new container.
pub(crate) fn container_name(server: &str) -> String {
    format!("throughline-{server}-{}", Uuid::new_v4().simple())
}

/// `docker`'s arguments that run `image` in the foreground, with the server's port published on the loopback
/// interface and `data` mounted into it.
pub(crate) fn run(
    container: &str,
    image: &Image,
    port: u16,
    data: &Path,
    arguments: &[String],
) -> Vec<String> {
    let mut all: Vec<String> = ["run", "--rm", "--name", container].map(String::from).into();
    all.extend(["--publish".to_owned(), format!("127.0.0.1:{port}:{}", image.port)]);
    all.extend([
        "--volume".to_owned(),
        format!("{}:{}", data.display(), image.data),
    ]);
    for variable in image.environment {
        all.extend(["--env".to_owned(), (*variable).to_owned()]);
    }
    if !user::is_root() {
        // The data belongs to the current user, who can delete it. As root, the images change to their own
        // user.
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        all.extend(["--user".to_owned(), format!("{uid}:{gid}")]);
    }
    all.push(image.name.to_owned());
    all.extend_from_slice(arguments);
    all
}

/// An image, and the port, data folder and environment that it expects.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) data: &'static str,
    pub(crate) environment: &'static [&'static str],
}
