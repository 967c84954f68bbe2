//! Who waits for which order in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch::Transition;
use domain::OrderId;
use tokio::sync::broadcast::{self, error::RecvError};

/// Transitions that one who waits may be behind; who is further behind misses the oldest.
const BEHIND: usize = 4;

type Waiting = HashMap<OrderId, broadcast::Sender<Transition>>;

/// Hands transitions to those who wait for them. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Hub {
    /// `None` once it is closed.
    waiting: Arc<Mutex<Option<Waiting>>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Arc::new(Mutex::new(Some(Waiting::new()))),
        }
    }

    /// Waits for this order from now on. Ask for its state afterwards, so that nothing falls in between.
    pub(crate) fn wait_for(&self, order: OrderId) -> Subscription {
        let transitions = match self.lock().as_mut() {
            Some(waiting) => waiting
                .entry(order)
                .or_insert_with(|| broadcast::Sender::new(BEHIND))
                .subscribe(),
            // The sender is gone at once, so the subscription has ended.
            None => broadcast::channel(1).1,
        };
        Subscription {
            hub: self.clone(),
            order,
            transitions,
        }
    }

    pub(crate) fn deliver(&self, transition: Transition) {
        if let Some(sender) = self
            .lock()
            .as_ref()
            .and_then(|waiting| waiting.get(&transition.order_id))
        {
            // Whoever waited may have left at this moment.
            let _ = sender.send(transition);
        }
    }

    /// The orders that somebody waits for.
    pub(crate) fn orders(&self) -> Vec<OrderId> {
        let waiting = self.lock();
        waiting
            .as_ref()
            .map_or_else(Vec::new, |waiting| waiting.keys().copied().collect())
    }

    /// Ends all waiting: the process is about to end, and whoever waits can do so elsewhere.
    pub(crate) fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits. Dropping it leaves nothing behind.
pub(crate) struct Subscription {
    hub: Hub,
    order: OrderId,
    transitions: broadcast::Receiver<Transition>,
}

impl Subscription {
    /// The next transition; `None` where no more will come.
    pub(crate) async fn next(&mut self) -> Option<Transition> {
        loop {
            match self.transitions.recv().await {
                Ok(transition) => return Some(transition),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Until the order is final, or no more will be heard of it.
    pub(crate) async fn until_final(&mut self) {
        while let Some(transition) = self.next().await {
            if transition.status.is_final() {
                return;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiting = self.hub.lock();
        if let Some(waiting) = waiting.as_mut()
            && let Some(sender) = waiting.get(&self.order)
            && sender.receiver_count() <= 1
        {
            waiting.remove(&self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Attempt, OrderStatus, PaymentStatus};

    use super::*;

    fn transition(order_id: OrderId, status: OrderStatus) -> Transition {
        Transition {
            order_id,
            status,
            attempt: Attempt::FIRST,
            payment_status: PaymentStatus::NotRequired,
            failure: None,
            updated_at: chrono::Utc::now(),
        }
    }

    #[tokio::test]
    async fn everybody_who_waits_is_told_and_nobody_is_left_behind() {
        let (hub, order) = (Hub::new(), OrderId::generate());
        let (mut one, mut two) = (hub.wait_for(order), hub.wait_for(order));
        let other = hub.wait_for(OrderId::generate());
        hub.deliver(transition(order, OrderStatus::Completed));
        hub.deliver(transition(OrderId::generate(), OrderStatus::Failed));
        for waiting in [&mut one, &mut two] {
            assert_eq!(waiting.next().await.unwrap().status, OrderStatus::Completed);
        }
        assert_eq!(hub.orders().len(), 2);
        drop((one, other));
        assert_eq!(hub.orders(), [order]);
        drop(two);
        assert!(hub.orders().is_empty());
    }

    #[tokio::test]
    async fn closing_ends_all_waiting() {
        let hub = Hub::new();
        let mut early = hub.wait_for(OrderId::generate());
        hub.close();
        assert_eq!(early.next().await, None);
        assert_eq!(hub.wait_for(OrderId::generate()).next().await, None);
    }
}
