//! A store on an empty database, and orders in any state that a test needs.

use std::time::Duration;

use domain::{
    Actor, Attempt, CustomerId, NewOrder, Order, OrderDraft, OrderId, OrderStatus, ProcessOrder, TraceContext,
};
use testkit::Database;
use throughline_store::{Claim, Store, StoreConfig};
use tokio_postgres::Client;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The claim that a test makes of an order for an attempt.
pub(crate) fn claim_of(order: OrderId, attempt: Attempt) -> Claim {
    Claim {
        order,
        attempt,
        token: order.as_uuid(),
    }
}

pub(crate) fn claim_by(job: &ProcessOrder) -> Claim {
    claim_of(job.order_id, job.attempt)
}

pub(crate) struct Fixture {
    pub(crate) store: Store,
    /// The test's own connection.
    pub(crate) sql: Client,
    pub(crate) database: Database,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = testkit::database().await.unwrap();
        throughline_store::migrate(database.url()).await.unwrap();
        // Long timeouts: many tests create their databases at the same time.
        let config = StoreConfig {
            acquire_timeout: MINUTE / 2,
            statement_timeout: MINUTE / 2,
            ..StoreConfig::new(database.url(), "store-test")
        };
        Self {
            store: Store::new(config).unwrap(),
            sql: database.connect().await.unwrap(),
            database,
        }
    }

    /// A new order of 10.00 USD without a payment.
    pub(crate) async fn order(&self) -> Order {
        self.create(&customer(), &free()).await
    }

    /// A new order of 10.00 USD, to be charged.
    pub(crate) async fn paid_order(&self) -> Order {
        self.create(&customer(), &paid()).await
    }

    pub(crate) async fn create(&self, customer: &CustomerId, new: &NewOrder) -> Order {
        let order = Order::new(OrderId::generate(), customer.clone(), new.clone(), trace(1));
        self.store.create(order, MINUTE).await.unwrap()
    }

    /// Claims the order, as a worker does.
    pub(crate) async fn claim(&self, order: &Order) -> Order {
        let job = order.next_job();
        let claim = self
            .store
            .claim(&job, claim_by(&job), "worker-1", &trace(2), MINUTE)
            .await
            .unwrap();
        claim.expect("the claim")
    }

    pub(crate) async fn find(&self, id: OrderId) -> Order {
        self.store.find(id, None).await.unwrap().expect("the order")
    }

    /// Puts the order into any status; due in an hour, unless the status is final.
    pub(crate) async fn put_into(&self, id: OrderId, status: OrderStatus) {
        let (due, completed, code) = match status {
            OrderStatus::Pending | OrderStatus::Processing => ("now() + interval '1 h'", "NULL", "NULL"),
            OrderStatus::Completed | OrderStatus::Cancelled => ("NULL", "now()", "NULL"),
            OrderStatus::Failed => ("NULL", "now()", "'payment_timeout'"),
        };
        let columns = format!(
            "status = '{status}', dispatch_after = {due}, completed_at = {completed}, failure_code = {code}, \
             failure_detail = {code}, \
             attempt = CASE '{status}' WHEN 'processing' THEN greatest(attempt, 1) ELSE attempt END, \
             claim_token = CASE '{status}' WHEN 'processing' THEN id ELSE claim_token END, \
             payment_status = CASE WHEN {completed} IS NOT NULL AND payment_status = 'pending' \
               THEN 'cancelled' ELSE payment_status END"
        );
        self.update(id, &columns).await;
    }

    /// Makes the order due: its lease or its backoff has ended.
    pub(crate) async fn make_due(&self, id: OrderId) {
        self.update(id, "dispatch_after = now() - interval '1 s'").await;
    }

    pub(crate) async fn update(&self, id: OrderId, set: &str) {
        let changed = self
            .sql
            .execute(&format!("UPDATE orders SET {set} WHERE id = '{id}'"), &[])
            .await
            .unwrap();
        assert_eq!(changed, 1);
    }

    /// The stored payment token.
    pub(crate) async fn token(&self, id: OrderId) -> Option<String> {
        let query = format!("SELECT payment_token FROM orders WHERE id = '{id}'");
        self.sql.query_one(&query, &[]).await.unwrap().get(0)
    }

    /// Seconds until the order is due; `None` if it never is.
    pub(crate) async fn due_in(&self, id: OrderId) -> Option<f64> {
        let row = self
            .sql
            .query_one(
                &format!(
                    "SELECT extract(epoch FROM dispatch_after - now())::float8 FROM orders WHERE id = '{id}'"
                ),
                &[],
            )
            .await
            .unwrap();
        row.get(0)
    }
}

pub(crate) fn customer() -> CustomerId {
    CustomerId::new("ada").unwrap()
}

pub(crate) fn operator() -> Actor {
    Actor::Operator("grace".to_owned())
}

pub(crate) fn free() -> NewOrder {
    draft(r#"{"product_name":"Widget","amount":"10"}"#)
}

pub(crate) fn paid() -> NewOrder {
    draft(r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#)
}

pub(crate) fn draft(json: &str) -> NewOrder {
    let draft: OrderDraft = serde_json::from_str(json).unwrap();
    draft.validate().unwrap()
}

/// A trace context with this number as its ids.
pub(crate) fn trace(number: u8) -> TraceContext {
    let traceparent = format!("00-{number:032x}-{number:016x}-01");
    TraceContext([("traceparent".to_owned(), traceparent)].into())
}

pub(crate) fn attempt(number: i32) -> Attempt {
    Attempt::new(number)
}

/// The order as reads return it: they leave out the payment token.
pub(crate) fn without_token(order: Order) -> Order {
    Order {
        payment_token: None,
        ..order
    }
}
