//! The chromedriver that all browsers of this process share.
//!
//! Each session starts a Chromium of its own, with an empty profile. chromedriver talks to it through a pipe,
//! so it ends with chromedriver, however that ended.

use std::time::Duration;

use anyhow::bail;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::supervised::{Supervised, Task, last_lines};
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
            name: "chromedriver".to_owned(),
            program,
            arguments: vec![format!("--port={port}")],
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            working_folder: folder.clone(),
            log: folder.join("chromedriver.log"),
            user: None,
            end: Signal::TERM,
            delete: Some(folder),
            container: None,
        };
        let process = Supervised::start(&task)?;
        let end = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if process.ended()?.is_some() || Instant::now() >= end {
                bail!("chromedriver did not start:\n{}", last_lines(&task.log, 5));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(Self {
            port,
            _process: process,
        })
    }
}
