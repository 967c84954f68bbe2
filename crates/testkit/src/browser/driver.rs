//! The chromedriver that all browsers of this process share.
//!
//! Each session starts a Chromium of its own, with an empty profile. chromedriver talks to it through a pipe,
//! so it ends with chromedriver, however that ended.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::ports::free_port;
use crate::supervised::{Supervised, Task};
use crate::{find_chromedriver, folder};

/// Generous because the machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

static DRIVER: OnceCell<Driver> = OnceCell::const_new();

#[derive(Debug)]
pub(super) struct Driver {
    port: u16,
    /// It ends with this process.
    _process: Supervised,
}

impl Driver {
    pub(super) async fn shared() -> anyhow::Result<&'static Self> {
        DRIVER.get_or_try_init(Self::start).await
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    async fn start() -> anyhow::Result<Self> {
        let program = find_chromedriver()?;
        let folder = folder::temporary(None)?;
        let port = free_port()?;
        let place = folder.display().to_string();
        // The profiles of its browsers are in TMPDIR; other files, such as crash reports, below HOME.
        let environment = [("TMPDIR", place.clone()), ("HOME", place)];
        let task = Task {
            arguments: vec![format!("--port={port}")],
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            delete: Some(folder.clone()),
            ..Task::new("chromedriver", program, &folder, "chromedriver.log")
        };
        let process = Supervised::start(&task)?;
        let accepts = || async { TcpStream::connect(("127.0.0.1", port)).await.is_ok() };
        process.until_ready(START_TIMEOUT, accepts).await?;
        Ok(Self {
            port,
            _process: process,
        })
    }
}
