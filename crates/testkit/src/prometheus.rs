//! A private Prometheus, with rules, beside a stack.

use std::fs;
use std::time::Duration;

use anyhow::Context;

use crate::ports::free_port;
use crate::readiness::responds_ok;
use crate::supervised::Task;
use crate::temporary_program::TemporaryProgram;
use crate::{folder, tools};

/// A running Prometheus. It stops when dropped, and its data is deleted.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _program: TemporaryProgram,
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
            arguments: vec![
                "--config.file=prometheus.yml".to_owned(),
                "--storage.tsdb.path=data".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
                format!("--query.lookback-delta={}ms", lookback.as_millis()),
                "--log.level=warn".to_owned(),
            ],
            ..Task::new("Prometheus", program, &folder, "prometheus.log")
        };
        let is_ready = || responds_ok(port, "/-/ready");
        Ok(Self {
            port,
            _program: TemporaryProgram::start(task, is_ready).await?,
        })
    }

    /// `http://127.0.0.1:9090`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
