//! The subscribers of this process, by order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch::OrderEvent;
use domain::OrderId;
use tokio::sync::broadcast::{self, error::RecvError};

/// Buffered events per subscriber; a slower one loses the oldest.
const CHANNEL_CAPACITY: usize = 4;

type Senders = HashMap<OrderId, broadcast::Sender<OrderEvent>>;

/// Delivers events to the subscribers of their order. Clones share the subscribers.
#[derive(Clone)]
pub(crate) struct Hub {
    /// `None` once it is closed.
    senders: Arc<Mutex<Option<Senders>>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            senders: Arc::new(Mutex::new(Some(Senders::new()))),
        }
    }

    /// Subscribes to this order. Read its state afterwards, so that no event falls in between.
    pub(crate) fn subscribe(&self, order: OrderId) -> Subscription {
        let events = match self.lock().as_mut() {
            Some(senders) => senders
                .entry(order)
                .or_insert_with(|| broadcast::Sender::new(CHANNEL_CAPACITY))
                .subscribe(),
            // Its sender is dropped here, so the subscription has ended.
            None => broadcast::channel(1).1,
        };
        Subscription {
            hub: self.clone(),
            order,
            events,
        }
    }

    pub(crate) fn deliver(&self, event: OrderEvent) {
        let senders = self.lock();
        if let Some(sender) = senders.as_ref().and_then(|senders| senders.get(&event.order_id)) {
            // Fails if the last subscriber has just left.
            let _ = sender.send(event);
        }
    }

    /// The orders that have subscribers.
    pub(crate) fn orders(&self) -> Vec<OrderId> {
        let senders = self.lock();
        senders
            .as_ref()
            .map_or_else(Vec::new, |senders| senders.keys().copied().collect())
    }

    /// Ends all subscriptions: the process shuts down, and clients can reconnect to another one.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Senders>> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of one order. Unsubscribes when dropped.
pub(crate) struct Subscription {
    hub: Hub,
    order: OrderId,
    events: broadcast::Receiver<OrderEvent>,
}

impl Subscription {
    /// The next event; `None` once the hub is closed.
    pub(crate) async fn next(&mut self) -> Option<OrderEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Waits until the order is final, or the hub is closed.
    pub(crate) async fn until_final(&mut self) {
        while let Some(event) = self.next().await {
            if event.status.is_final() {
                return;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut senders = self.hub.lock();
        if let Some(senders) = senders.as_mut()
            && let Some(sender) = senders.get(&self.order)
            && sender.receiver_count() <= 1
        {
            senders.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Attempt, OrderStatus, PaymentStatus};

    use super::*;

    fn event(order_id: OrderId, status: OrderStatus) -> OrderEvent {
        OrderEvent {
            order_id,
            status,
            attempt: Attempt::FIRST,
            payment_status: PaymentStatus::NotRequired,
            failure: None,
            updated_at: chrono::Utc::now(),
        }
    }

    #[tokio::test]
    async fn every_subscriber_gets_the_event_and_none_leaves_anything_behind() {
        let (hub, order) = (Hub::new(), OrderId::generate());
        let (mut one, mut two) = (hub.subscribe(order), hub.subscribe(order));
        let other = hub.subscribe(OrderId::generate());
        hub.deliver(event(order, OrderStatus::Completed));
        hub.deliver(event(OrderId::generate(), OrderStatus::Failed));
        for subscription in [&mut one, &mut two] {
            assert_eq!(subscription.next().await.unwrap().status, OrderStatus::Completed);
        }
        assert_eq!(hub.orders().len(), 2);
        drop((one, other));
        assert_eq!(hub.orders(), [order]);
        drop(two);
        assert!(hub.orders().is_empty());
    }

    #[tokio::test]
    async fn closing_ends_all_subscriptions() {
        let hub = Hub::new();
        let mut early = hub.subscribe(OrderId::generate());
        hub.close();
        assert_eq!(early.next().await, None);
        assert_eq!(hub.subscribe(OrderId::generate()).next().await, None);
    }
}
