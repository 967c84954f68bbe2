//! `erase --customer ID [--wait | --cancel]`: erases a customer's personal data.

use std::time::Duration;

use anyhow::bail;
use domain::{Actor, CustomerId, OrderId};
use settings::{Env, SettingError};
use store::{Changed, Erasure, Store, StoreConfig, StoreError};
use tokio::time::sleep;

use super::options::Options;

const BATCH: usize = 500;
/// Between two batches, and two looks at orders in flight.
const PAUSE: Duration = Duration::from_millis(50);
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Overwrites what is personal in the customer's orders, and deletes the customer's idempotency keys.
/// Refuses while orders are in flight, unless it is to wait for them, or to cancel those that can be. Can be
/// repeated, and interrupted at any time: the next run continues, with another pseudonym.
pub async fn erase(env: &Env, arguments: &[&str]) -> anyhow::Result<()> {
    const CUSTOMER: &str = "--customer";
    const TAKES: &str = "a customer's id, as tokens have it in `sub`";
    let mut options = Options::new(arguments);
    let (wait, cancel) = (options.flag("--wait"), options.flag("--cancel"));
    let id = options.value(CUSTOMER);
    options.end()?;
    let id = id.ok_or_else(|| SettingError::missing(CUSTOMER, TAKES))?;
    let customer = CustomerId::new(id).map_err(|_| SettingError::bad(CUSTOMER, id, TAKES))?;
    let store = Store::new(StoreConfig::from_env(env, "throughline-erase")?)?;

    loop {
        if cancel {
            cancel_pending(&store, &customer).await?;
        }
        match store.unfinished_of(&customer).await? {
            0 => break,
            orders if wait || cancel => println!("waiting for {orders} orders in flight"),
            orders => bail!(
                "{orders} orders are in flight, nothing is erased; --wait waits until they are final, \
                 --cancel cancels those that no worker has claimed and waits for the others"
            ),
        }
        sleep(POLL_INTERVAL).await;
    }
    let mut erasure = Erasure::of(customer.clone());
    let orders = all(async || store.erase_orders(&mut erasure, BATCH).await).await?;
    let keys = all(async || store.erase_keys(&customer, BATCH).await).await?;
    println!("erased {orders} orders, deleted {keys} idempotency keys");
    if orders > 0 {
        println!("the orders belong to {} now", erasure.pseudonym());
    }
    match store.unfinished_of(&customer).await? {
        0 => Ok(()),
        orders => bail!("{orders} orders were created meanwhile; run it again"),
    }
}

/// Repeats `batch` until it finds nothing; gives the total.
async fn all(mut batch: impl AsyncFnMut() -> Result<usize, StoreError>) -> Result<usize, StoreError> {
    let mut total = 0;
    loop {
        match batch().await? {
            0 => return Ok(total),
            rows => total += rows,
        }
        sleep(PAUSE).await;
    }
}

async fn cancel_pending(store: &Store, customer: &CustomerId) -> Result<(), StoreError> {
    let mut after: Option<OrderId> = None;
    let mut cancelled = 0_usize;
    loop {
        let pending = store.pending_of(customer, after, BATCH).await?;
        let Some(last) = pending.last() else {
            break;
        };
        after = Some(*last);
        for id in pending {
            let done = store.cancel(id, Some(customer), &Actor::System).await?;
            cancelled += usize::from(matches!(done, Changed::Done(_) | Changed::DoneUnreadable));
        }
    }
    if cancelled > 0 {
        println!("cancelled {cancelled} orders");
    }
    Ok(())
}
