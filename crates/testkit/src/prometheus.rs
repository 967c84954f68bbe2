//! A private Prometheus, with rules, beside a stack.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::readiness::responds_ok;
use crate::supervised::{Supervised, Task, last_lines};
use crate::{folder, tools};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running Prometheus. It stops when dropped, and its data is deleted.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    folder: PathBuf,
    process: Option<Supervised>,
}

impl Prometheus {
    /// Starts it on a free port with these files, names and contents, in its working folder.
    /// `prometheus.yml` is its configuration. A sample counts as current for `lookback`.
    ///
    /// # Errors
    /// When Prometheus is missing and cannot be installed, or does not start; the message has its last
    /// log lines.
    pub async fn start(files: &[(&str, String)], lookback: Duration) -> anyhow::Result<Self> {
        let program = tools::find_prometheus()?;
        let folder = folder::temporary(None)?;
        for (name, content) in files {
            fs::write(folder.join(name), content).with_context(|| format!("cannot write {name}"))?;
        }
        let port = free_port()?;
        let task = Task {
            name: "Prometheus".to_owned(),
            program,
            arguments: vec![
                "--config.file=prometheus.yml".to_owned(),
                "--storage.tsdb.path=data".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--query.lookback-delta={}ms", lookback.as_millis()),
                "--log.level=warn".to_owned(),
            ],
            environment: Vec::new(),
            working_folder: folder.clone(),
            log: folder.join("prometheus.log"),
            user: None,
            end: Signal::TERM,
            delete: Some(folder.clone()),
            container: None,
        };
        let mut prometheus = Self {
            port,
            folder,
            process: None,
        };
        let process = Supervised::start(&task)?;
        let end = Instant::now() + START_TIMEOUT;
        while !responds_ok(port, "/-/ready").await {
            if process.ended()?.is_some() || Instant::now() >= end {
                bail!("Prometheus did not start:\n{}", last_lines(&task.log, 5));
            }
            sleep(Duration::from_millis(10)).await;
        }
        prometheus.process = Some(process);
        Ok(prometheus)
    }

    /// `http://127.0.0.1:9090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.process.take());
        // An error has no receiver.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
