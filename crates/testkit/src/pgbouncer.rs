//! A private PgBouncer in transaction mode.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::client::connect;
use crate::ports::free_port;
use crate::supervised::{Supervised, Task, last_lines};
use crate::{Postgres, install, programs, user};

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A PgBouncer in front of one PostgreSQL, with two connections to it. It stops when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    folder: PathBuf,
    _process: Supervised,
}

impl PgBouncer {
    /// Starts it on a free port; installs Debian's package if it is missing.
    ///
    /// # Errors
    /// When it is missing and cannot be installed, or does not start; the message has its last log lines.
    pub async fn start(postgres: &Postgres) -> anyhow::Result<Self> {
        if programs::installed("pgbouncer").is_none() {
            install::debian("pgbouncer")?;
        }
        let program = programs::installed("pgbouncer").context("no pgbouncer is installed")?;
        let server: url::Url = postgres.url().parse()?;
        let server = server.port().context("PostgreSQL's URL names no port")?;
        let (port, user) = (free_port()?, user::for_postgres());
        let folder = crate::folder::temporary(user.as_ref())?;
        let settings = folder.join("pgbouncer.ini");
        let lines = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 2\n"
        );
        fs::write(&settings, lines)?;
        if let Some(user) = &user {
            chown(&settings, Some(user.uid), Some(user.gid))?;
        }
        let task = Task {
            name: "PgBouncer".to_owned(),
            program,
            arguments: vec![settings.display().to_string()],
            environment: Vec::new(),
            working_folder: folder.clone(),
            log: folder.join("pgbouncer.log"),
            user,
            end: Signal::INT,
            delete: Some(folder.clone()),
            container: None,
        };
        let pgbouncer = Self {
            port,
            _process: Supervised::start(&task)?,
            folder,
        };
        let end = Instant::now() + START_TIMEOUT;
        while let Err(error) = connect(&pgbouncer.url()).await {
            if Instant::now() >= end {
                bail!("PgBouncer: {error:#}:\n{}", last_lines(&task.log, 10));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(pgbouncer)
    }

    /// The superuser's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // If this fails, the supervisor deletes it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
