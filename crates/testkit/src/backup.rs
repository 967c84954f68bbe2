//! Base backups and archived WAL of a PostgreSQL cluster, and its restore to a point in time.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::{connect, wait_for_row};
use crate::postgres::Postgres;
use crate::server::{Kind, Place, PrivateServer};

const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(60);
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// A base backup of a cluster. Its data is deleted when this is dropped.
#[derive(Debug)]
pub struct Backup {
    server: PrivateServer,
    archive: PathBuf,
}

impl Postgres {
    /// Archives every WAL segment from now on, in a folder beside the data. Restarts the cluster.
    ///
    /// # Errors
    /// When it is unreachable, or does not start again.
    pub async fn archive_wal(&mut self) -> anyhow::Result<()> {
        let archive = self.archive().display().to_string();
        let sql = connect(&self.url()).await?;
        sql.batch_execute("ALTER SYSTEM SET archive_mode = 'on'").await?;
        let command = format!("mkdir -p \"{archive}\" && cp \"%p\" \"{archive}/%f\"");
        sql.batch_execute(&format!("ALTER SYSTEM SET archive_command = '{command}'"))
            .await?;
        self.restart().await
    }

    /// Returns once everything that was committed so far is archived.
    ///
    /// # Errors
    /// When the cluster is unreachable, or does not archive in time.
    pub async fn finish_archive(&self) -> anyhow::Result<()> {
        const ARCHIVED: &str = "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= $1";
        let sql = connect(&self.url()).await?;
        let segment = "SELECT pg_walfile_name(pg_switch_wal())";
        let segment: String = sql.query_one(segment, &[]).await?.try_get(0)?;
        wait_for_row(&sql, ARCHIVED, &[&segment], ARCHIVE_TIMEOUT).await
    }

    /// Takes a base backup.
    ///
    /// # Errors
    /// When the cluster is unreachable.
    pub fn back_up(&self) -> anyhow::Result<Backup> {
        Ok(Backup {
            server: PrivateServer::prepare(Kind::Postgres, Place::BackupOf(self.port()))?,
            archive: self.archive(),
        })
    }

    fn archive(&self) -> PathBuf {
        self.folder().join("archive")
    }
}

impl Backup {
    /// Starts a cluster from the backup, with what was archived and committed up to `point`, a time as
    /// PostgreSQL writes it. Returns once it accepts writes.
    ///
    /// # Errors
    /// When it does not start, or the archive does not reach `point`.
    pub async fn restore(self, point: &str) -> anyhow::Result<Postgres> {
        let data = self.server.folder().join("data");
        let settings = format!(
            "archive_mode = off\nrestore_command = 'cp \"{}/%f\" \"%p\"'\nrecovery_target_time = '{point}'\n\
             recovery_target_action = promote\n",
            self.archive.display()
        );
        let mut configuration = OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.auto.conf"))?;
        configuration.write_all(settings.as_bytes())?;
        fs::write(data.join("recovery.signal"), "")?;
        let restored = Postgres::of_server(self.server.start_on(None).await?);
        let sql = connect(&restored.url()).await?;
        let recovered = "SELECT 1 WHERE NOT pg_is_in_recovery()";
        wait_for_row(&sql, recovered, &[], RECOVERY_TIMEOUT).await?;
        Ok(restored)
    }
}
