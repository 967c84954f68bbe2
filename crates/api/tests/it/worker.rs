//! The transitions that a worker makes, one by one as the test needs them.

use std::time::Duration;

use dispatch::Publisher;
use domain::{Attempt, Failure, FailureCode, Order, OrderId, ProcessOrder};
use queue::Queue;
use store::{Claim, Settlement, Store};

use crate::service::Api;

const LEASE: Duration = Duration::from_secs(60);

pub(crate) struct Worker {
    pub(crate) store: Store,
    publisher: Option<Publisher>,
}

impl Worker {
    pub(crate) fn of(api: &Api) -> Self {
        let queue: Queue<ProcessOrder> = Queue::connect_lazy(api.queue_config()).unwrap();
        Self {
            store: api.store(),
            publisher: Some(Publisher::start(&queue)),
        }
    }

    /// Publishes no events, for an API without Redis.
    pub(crate) fn silent(api: &Api) -> Self {
        Self {
            store: api.store(),
            publisher: None,
        }
    }

    pub(crate) async fn claim(&self, id: &str) -> Order {
        let id: OrderId = id.parse().unwrap();
        let order = self.store.find(id, None).await.unwrap().unwrap();
        let job = order.next_job();
        let claim = self
            .store
            .claim(&job, claim_of(id, job.attempt), "worker-1", &job.trace, LEASE)
            .await
            .unwrap();
        self.published(claim.unwrap())
    }

    pub(crate) async fn complete(&self, order: &Order) -> Order {
        let done = self.store.complete(claim_of(order.id, order.attempt), None).await;
        self.published(done.unwrap().unwrap())
    }

    pub(crate) async fn fail(&self, order: &Order) -> Order {
        let failure = Failure::new(FailureCode::PaymentTimeout, "The gateway did not respond.");
        let failed = self
            .store
            .fail(claim_of(order.id, order.attempt), &failure, Settlement::Cancelled);
        self.published(failed.await.unwrap().unwrap())
    }

    fn published(&self, order: Order) -> Order {
        if let Some(publisher) = &self.publisher {
            publisher.publish(&order);
        }
        order
    }
}

/// The claim that it makes of an order for an attempt.
fn claim_of(order: OrderId, attempt: Attempt) -> Claim {
    Claim {
        order,
        attempt,
        token: order.as_uuid(),
    }
}
