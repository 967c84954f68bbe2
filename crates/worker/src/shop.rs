//! A worker's processor with an empty database and its own payment sandbox, for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dispatch::Publisher;
use domain::{CustomerId, FailureCode, Order, OrderDraft, OrderId, OrderStatus};
use domain::{PaymentStatus, ProcessOrder, Threshold, TraceContext};
use gateway::Gateway as Sandbox;
use queue::{Delivery, Pause, Queue, QueueConfig};
use serde_json::{Value, json};
use store::{Store, StoreConfig};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::config::{GatewayConfig, ProcessingConfig};
use crate::payment::Gateway;
use crate::processing::Processor;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
const KEY: &str = "sk_test_worker";

pub(crate) struct Shop {
    pub(crate) processor: Processor,
    sandbox: Sandbox,
    http: reqwest::Client,
    pub(crate) sql: tokio_postgres::Client,
    _database: testkit::Database,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(KEY).await
    }

    pub(crate) async fn open_with(key: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = testkit::database().await.unwrap();
        store::migrate(database.url()).await.unwrap();
        let redis = testkit::redis().await.unwrap();
        // A unique name.
        let config = QueueConfig::new(redis.url(), OrderId::generate().to_string());
        let queue = Queue::connect(config).await.unwrap();
        let sandbox = Sandbox::start(gateway::Config::local()).await.unwrap();
        let config = GatewayConfig {
            url: sandbox.url().parse().unwrap(),
            key: key.into(),
            timeout: Duration::from_secs(2),
            max_per_second: None,
        };
        let processor = Processor {
            store: Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap(),
            gateway: Some(Gateway::new(config, 64).unwrap()),
            config: ProcessingConfig {
                lease: MINUTE,
                max_attempts: 3,
                max_crashes: 3,
                payment_deadline: MINUTE * 60,
                high_value: Threshold::default(),
            },
            publisher: Publisher::start(&queue),
            alone: RwLock::default(),
            abandon: CancellationToken::new(),
            pause: Pause::default(),
        };
        Self {
            sql: database.connect().await.unwrap(),
            http: reqwest::Client::new(),
            processor,
            sandbox,
            _database: database,
        }
    }

    pub(crate) async fn order(&self) -> Order {
        self.order_with("pm_card_visa").await
    }

    pub(crate) async fn order_with(&self, token: &str) -> Order {
        let draft = json!({
            "product_name": "Widget",
            "amount": "10",
            "payment_method": "credit_card",
            "payment_token": token,
        });
        let draft: OrderDraft = serde_json::from_value(draft).unwrap();
        let (id, customer) = (OrderId::generate(), CustomerId::anonymous());
        let order = Order::new(id, customer, draft.validate().unwrap(), TraceContext::default());
        self.processor.store.create(order, MINUTE).await.unwrap()
    }

    pub(crate) async fn read(&self, order: &Order) -> Order {
        self.processor.store.find(order.id, None).await.unwrap().unwrap()
    }

    /// Processes the order's next job. Returns the order after it.
    pub(crate) async fn attempt(&self, order: &Order) -> Order {
        let job = self.read(order).await.next_job();
        self.processor.process(delivery(job)).await;
        self.read(order).await
    }

    pub(crate) async fn faults(&self, faults: Value) {
        let url = format!("{}/sandbox/faults", self.sandbox.url());
        let response = self.http.post(url).json(&faults).send().await.unwrap();
        assert!(response.status().is_success(), "{faults}");
    }

    pub(crate) async fn requests(&self) -> u64 {
        let url = format!("{}/sandbox/stats", self.sandbox.url());
        let stats: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        stats["requests"].as_u64().unwrap()
    }

    /// The status of each of the order's intents, newest first.
    pub(crate) async fn intents(&self, order: &Order) -> Vec<String> {
        self.faults(json!({})).await;
        let url = format!("{}/v1/payment_intents?limit=100", self.sandbox.url());
        let page = self.http.get(url).bearer_auth(KEY).send().await.unwrap();
        let page: Value = page.json().await.unwrap();
        let intents = page["data"].as_array().unwrap().iter();
        let id = order.id.to_string();
        let own = intents.filter(|intent| intent["metadata"]["order_id"] == id.as_str());
        own.map(|intent| intent["status"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The request of release 0.1, which creates and confirms.
    pub(crate) async fn charge_in_one_step(&self, order: &Order) {
        let url = format!("{}/v1/payment_intents", self.sandbox.url());
        let id = order.id.to_string();
        let token = order.payment_token.as_ref().unwrap();
        let request = self
            .http
            .post(url)
            .bearer_auth(KEY)
            .header("Idempotency-Key", &id)
            .form(&[
                ("amount", "1000"),
                ("currency", "usd"),
                ("payment_method", token.reveal()),
                ("confirm", "true"),
                ("automatic_payment_methods[enabled]", "true"),
                ("automatic_payment_methods[allow_redirects]", "never"),
                ("metadata[order_id]", &id),
            ]);
        // Its response may be lost.
        let _ = request.send().await;
    }

    pub(crate) async fn update(&self, order: &Order, set: &str) {
        let update = format!("UPDATE orders SET {set} WHERE id = '{}'", order.id);
        assert_eq!(self.sql.execute(&update, &[]).await.unwrap(), 1, "{set}");
    }

    /// Checks that the order was charged once, and that no other intent of it may charge it.
    pub(crate) async fn assert_charged_once(&self, order: &Order) {
        assert_eq!(order.status, OrderStatus::Completed, "{order:?}");
        assert_eq!(order.payment_status, PaymentStatus::Charged);
        let intents = self.intents(order).await;
        let charged = intents.iter().filter(|status| *status == "succeeded").count();
        assert_eq!(charged, 1, "{intents:?}");
    }

    /// Checks that the order waits, and that its attempt does not count.
    pub(crate) fn assert_waits(&self, order: &Order) {
        assert_eq!(order.status, OrderStatus::Pending, "{order:?}");
        assert!(order.waiting_since.is_some(), "{order:?}");
        assert_eq!(order.attempts_counted(), 0, "{order:?}");
    }
}

pub(crate) fn delivery(job: ProcessOrder) -> Delivery<ProcessOrder> {
    Delivery {
        id: job.job_id(),
        job,
        attempt: 1,
        enqueued_at: SystemTime::now(),
        waited: Duration::ZERO,
        worker: Arc::from("worker-test"),
    }
}

pub(crate) fn failure(order: &Order) -> FailureCode {
    order.failure.as_ref().unwrap().code.clone()
}
