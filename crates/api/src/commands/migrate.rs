//! `migrate`: applies the migrations.

use std::time::{Duration, Instant};

use anyhow::Context;
use settings::{Env, ExposeSecret};
use store::StoreError;

/// How long `migrate` retries while PostgreSQL is unreachable, and how often.
const TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Applies the migrations. Many replicas may run it at once. Retries while PostgreSQL is unreachable; any
/// other error, such as a wrong password, ends it.
pub async fn migrate(env: &Env) -> anyhow::Result<()> {
    let url = store::database_url(env)?;
    let deadline = Instant::now() + TIMEOUT;
    let mut waiting = false;
    let applied = loop {
        match store::migrate_reporting(url.expose_secret(), |line| eprintln!("{line}")).await {
            Err(StoreError::Unavailable(error)) if Instant::now() < deadline => {
                if !std::mem::replace(&mut waiting, true) {
                    eprintln!("waiting for PostgreSQL, up to {TIMEOUT:?}: {error}");
                }
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            result => break result.context("cannot migrate the database of DATABASE_URL")?,
        }
    };
    if waiting {
        eprintln!("PostgreSQL is reachable");
    }
    match applied.as_slice() {
        [] => println!("the schema is up to date"),
        versions => println!("applied {}", versions.join(", ")),
    }
    Ok(())
}
