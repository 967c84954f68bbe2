//! Settles the payments of orders that release 0.1 left final and pending: were they charged? Their last
//! attempt got no response from the gateway, and release 0.1 recorded the intent's id only with the charge.

use std::time::Duration;

use domain::OrderId;
use service::{Next, every};
use store::{Settlement, Store, UnsettledOrder};
use tokio_util::sync::CancellationToken;

use super::admission::Visit;
use super::error::CallError;
use super::gateway::Gateway;
use super::intent::IntentStatus;
use super::lookup::find_charge;
use crate::leadership::IsLeader;

const INTERVAL: Duration = Duration::from_secs(10);
const BATCH: usize = 20;

#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error("the payment gateway: {0:?}")]
    Gateway(CallError),
}

impl From<CallError> for SettleError {
    fn from(error: CallError) -> Self {
        Self::Gateway(error)
    }
}

/// Runs until `shutdown` is cancelled, in the leader. Outside any trace: most runs find nothing.
pub(crate) async fn settle_unsettled_orders(
    gateway: Option<&Gateway>,
    store: &Store,
    is_leader: &IsLeader,
    shutdown: &CancellationToken,
) {
    let Some(gateway) = gateway else {
        return;
    };
    let mut after = None;
    every(INTERVAL, shutdown, async || {
        if !is_leader.get() || !gateway.is_available() {
            return Next::AfterInterval;
        }
        if let Err(error) = telemetry::span::untraced(settle_batch(gateway, store, &mut after)).await {
            tracing::debug!(%error, "orders are not settled yet");
            return Next::AfterInterval;
        }
        after.map_or(Next::AfterInterval, |_| Next::AtOnce)
    })
    .await;
}

/// Settles the orders after `after`, which becomes the last one that was seen, or `None` at the end.
async fn settle_batch(
    gateway: &Gateway,
    store: &Store,
    after: &mut Option<OrderId>,
) -> Result<(), SettleError> {
    let orders = store.unsettled(*after, BATCH).await?;
    for order in &orders {
        let visit = gateway
            .admission
            .enter(Duration::ZERO)
            .await
            .map_err(|_| CallError::NoPermit)?;
        if let Some((settlement, payment_id)) = outcome(gateway, &visit, order).await? {
            store.settle(order.id, settlement, payment_id.as_deref()).await?;
        }
        *after = Some(order.id);
    }
    if orders.len() < BATCH {
        *after = None;
    }
    Ok(())
}

/// What became of the order's payment; `None` while the gateway still works on it.
async fn outcome(
    gateway: &Gateway,
    visit: &Visit<'_>,
    order: &UnsettledOrder,
) -> Result<Option<(Settlement, Option<String>)>, SettleError> {
    // Only an order without an attempt could be cancelled.
    if order.cancelled {
        return Ok(Some((Settlement::Cancelled, None)));
    }
    let period = (order.created_at, Some(order.completed_at));
    let Some(intent) = find_charge(gateway, visit, order.id, period).await? else {
        return Ok(Some((Settlement::Cancelled, None)));
    };
    match intent.status {
        IntentStatus::Succeeded => {
            tracing::warn!(order.id = %order.id, payment.id = intent.id, "an order that failed was charged");
            Ok(Some((Settlement::Charged, Some(intent.id))))
        }
        IntentStatus::Other(_) => {
            let key = format!("{}:settle", intent.id);
            visit.send(gateway.cancel(&intent.id, &key, 0)).await?;
            Ok(Some((Settlement::Cancelled, None)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Order, OrderStatus, PaymentStatus};

    use super::*;
    use crate::shop::{MINUTE, Shop};

    /// An order as release 0.1 left it: final, and its payment pending.
    async fn left(shop: &Shop, status: &str) -> Order {
        let order = shop.order().await;
        let set = format!(
            "status = '{status}', attempt = 1, completed_at = now(), dispatch_after = NULL, \
             failure_code = 'payment_timeout', failure_detail = 'No response.'"
        );
        shop.update(&order, &set).await;
        order
    }

    #[tokio::test]
    async fn final_orders_of_release_0_1_are_settled_while_the_gateway_is_available() {
        let shop = Shop::open().await;
        let drop = "ALTER TABLE orders DROP CONSTRAINT orders_final_is_settled";
        shop.sql.batch_execute(drop).await.unwrap();
        let cancelled = left(&shop, "cancelled").await;
        let uncharged = left(&shop, "failed").await;
        let charged = left(&shop, "failed").await;
        shop.charge_in_one_step(&charged).await;

        let (shutdown, gateway) = (CancellationToken::new(), shop.processor.gateway.clone());
        let is_leader = IsLeader::default();
        is_leader.set(true);
        let settle = settle_unsettled_orders(gateway.as_ref(), &shop.processor.store, &is_leader, &shutdown);
        let settled = testkit::eventually("settled orders", MINUTE, || async {
            let left = shop.processor.store.unsettled(None, 10).await.unwrap();
            left.is_empty().then_some(())
        });
        tokio::select! {
            () = settle => {}
            () = settled => {}
        }
        let (cancelled, uncharged) = (shop.read(&cancelled).await, shop.read(&uncharged).await);
        assert_eq!(cancelled.payment_status, PaymentStatus::Cancelled);
        assert_eq!(uncharged.payment_status, PaymentStatus::Cancelled);
        let charged = shop.read(&charged).await;
        assert_eq!(charged.payment_status, PaymentStatus::Charged);
        assert_eq!(charged.status, OrderStatus::Failed);
        assert!(charged.payment_id.is_some());
    }
}
