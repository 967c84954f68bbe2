//! `prune --older-than DURATION [--dry-run]`: deletes old final orders.

use std::time::{Duration, Instant};

use anyhow::Context;
use settings::{Env, SettingError};
use store::{Prune, Store, StoreConfig};
use tokio::time::sleep;

use super::options::Options;

const BATCH: usize = 1000;
/// The pause after a batch is as long as the batch took, and at least this: at most 10,000 orders per second,
/// and half of one PostgreSQL process.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Deletes final orders that are older than the option says, with their idempotency keys, the oldest first.
/// Can be interrupted at any time: the next run continues.
pub async fn prune(env: &Env, arguments: &[&str]) -> anyhow::Result<()> {
    const OLDER_THAN: &str = "--older-than";
    let mut options = Options::new(arguments);
    let dry_run = options.flag("--dry-run");
    let age = options.value(OLDER_THAN);
    options.end()?;
    let age = age.ok_or_else(|| SettingError::missing(OLDER_THAN, settings::RETENTION))?;
    let mut pass = Prune::older_than(settings::retention(OLDER_THAN, age)?);
    let store = Store::new(StoreConfig::from_env(env, "throughline-prune")?)?;

    let verb = if dry_run { "would prune" } else { "pruned" };
    let (mut orders, mut reported_at) = (0_usize, Instant::now());
    loop {
        let begun_at = Instant::now();
        let batch = if dry_run {
            store.count_prunable(&mut pass, BATCH).await
        } else {
            store.prune(&mut pass, BATCH).await
        };
        let batch = batch.with_context(|| format!("{verb} {orders} orders; run it again to continue"))?;
        orders += batch;
        if batch < BATCH {
            break;
        }
        if reported_at.elapsed() >= PROGRESS_INTERVAL {
            reported_at = Instant::now();
            let reached = pass.reached().format("%F %T");
            println!("{verb} {orders} orders so far, final until {reached} UTC");
        }
        if !dry_run {
            sleep(begun_at.elapsed().max(MIN_PAUSE)).await;
        }
    }
    println!("{verb} {orders} orders that were final for {age}");
    Ok(())
}
