//! A private PgBouncer in transaction mode.

use std::fs;
use std::os::unix::fs::chown;

use anyhow::Context;
use rustix::process::Signal;

use crate::client::connect;
use crate::ports::free_port;
use crate::supervised::Task;
use crate::temporary_program::TemporaryProgram;
use crate::{Postgres, install, programs, user};

/// A PgBouncer in front of one PostgreSQL, with two connections to it. It stops when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _program: TemporaryProgram,
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
            arguments: vec![settings.display().to_string()],
            user,
            end: Signal::INT,
            ..Task::new("PgBouncer", program, &folder, "pgbouncer.log")
        };
        let url = url(port);
        let is_ready = || async { connect(&url).await.is_ok() };
        Ok(Self {
            port,
            _program: TemporaryProgram::start(task, is_ready).await?,
        })
    }

    /// The superuser's URL.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }
}

fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}
