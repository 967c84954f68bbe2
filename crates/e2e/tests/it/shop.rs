//! A shop: the product's processes on private servers, and what a customer or an operator does with them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{Binaries, Profile, Service, Stack};
use tokio::sync::OnceCell;

/// The upper bound of every wait; generous because the machine may be busy.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Shop {
    pub(crate) stack: Stack,
    pub(crate) lens: testkit::Lens,
    pub(crate) redis: testkit::Redis,
    pub(crate) database: testkit::Database,
    pub(crate) http: reqwest::Client,
}

impl Shop {
    /// A shop with a private Redis, which the test may stop or change.
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    pub(crate) async fn open_with(env: &[(Service, &str, &str)]) -> Self {
        Self::start(testkit::database().await.unwrap(), env).await
    }

    /// A shop on this database, whose server the test may stop.
    pub(crate) async fn open_on(database: testkit::Database) -> Self {
        Self::start(database, &[]).await
    }

    /// A shop whose api and worker use these URLs.
    pub(crate) async fn open_at(
        database: testkit::Database,
        redis: testkit::Redis,
        urls: &[(&str, &str)],
    ) -> Self {
        let env: Vec<_> = [Service::Api, Service::Worker]
            .into_iter()
            .flat_map(|service| urls.iter().map(move |(name, url)| (service, *name, *url)))
            .collect();
        Self::start_with(database, redis, &env).await
    }

    async fn start(database: testkit::Database, env: &[(Service, &str, &str)]) -> Self {
        let redis = testkit::Redis::start().await.unwrap();
        Self::start_with(database, redis, env).await
    }

    /// A shop whose worker has no part that SABOTAGE names.
    pub(crate) async fn open_sabotaged(part: &str, env: &[(Service, &str, &str)]) -> Self {
        let (database, redis) = (testkit::database().await, testkit::Redis::start().await);
        let env = [env, &[(Service::Worker, "SABOTAGE", part)]].concat();
        let program = sabotaged().await;
        Self::start_on(database.unwrap(), redis.unwrap(), &env, Some(&program)).await
    }

    pub(crate) async fn start_with(
        database: testkit::Database,
        redis: testkit::Redis,
        env: &[(Service, &str, &str)],
    ) -> Self {
        Self::start_on(database, redis, env, None).await
    }

    async fn start_on(
        database: testkit::Database,
        redis: testkit::Redis,
        env: &[(Service, &str, &str)],
        worker: Option<&Path>,
    ) -> Self {
        // It fails in all tests of this process but the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let lens = testkit::lens().await.unwrap();
        let mut stack = Stack::builder(database.url(), redis.url())
            .binaries(binaries().await)
            .telemetry_to(&lens.otlp_http_url());
        if let Some(program) = worker {
            stack = stack.program(Service::Worker, program);
        }
        for (service, name, value) in env {
            stack = stack.env(*service, name, value);
        }
        Self {
            stack: stack.start().await.unwrap(),
            lens,
            redis,
            database,
            http: reqwest::Client::new(),
        }
    }

    pub(crate) async fn post(&self, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}/api/orders", self.stack.url(Service::Api));
        let response = self.http.post(url).json(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// Creates an order, which must succeed; returns its id.
    pub(crate) async fn order(&self, body: &Value) -> String {
        let (status, order) = self.post(body).await;
        assert_eq!(status, StatusCode::CREATED, "{order}");
        order["id"].as_str().unwrap().to_owned()
    }

    /// Creates an order with an Idempotency-Key.
    pub(crate) async fn order_with_key(&self, body: &Value, key: &str) -> String {
        let url = format!("{}/api/orders", self.stack.url(Service::Api));
        let request = self.http.post(url).json(body).header("Idempotency-Key", key);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let order: Value = response.json().await.unwrap();
        order["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn read(&self, id: &str) -> Value {
        let url = format!("{}/api/orders/{id}", self.stack.url(Service::Api));
        let response = self.http.get(url).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// The order once it is in a final state.
    pub(crate) async fn final_order(&self, id: &str) -> Value {
        testkit::eventually(&format!("a final state of order {id}"), TIMEOUT, || async {
            let order = self.read(id).await;
            let done = ["completed", "failed", "cancelled"].contains(&order["status"].as_str()?);
            done.then_some(order)
        })
        .await
    }

    /// How often the gateway charged this order.
    pub(crate) async fn charges(&self, order_id: &str) -> usize {
        let url = format!(
            "{}/v1/payment_intents?limit=100",
            self.stack.url(Service::Gateway)
        );
        let list = self
            .http
            .get(url)
            .bearer_auth("sk_test_throughline")
            .send()
            .await
            .unwrap();
        let list: Value = list.json().await.unwrap();
        let of_order =
            |intent: &&Value| intent["metadata"]["order_id"] == order_id && intent["status"] == "succeeded";
        list["data"].as_array().unwrap().iter().filter(of_order).count()
    }

    /// Sets the faults of the payment sandbox.
    pub(crate) async fn gateway_faults(&self, faults: &Value) {
        let url = format!("{}/sandbox/faults", self.stack.url(Service::Gateway));
        let response = self.http.post(url).json(faults).send().await.unwrap();
        assert!(response.status().is_success());
    }
}

pub(crate) fn widget() -> Value {
    json!({ "product_name": "Widget", "amount": "99.99" })
}

/// The programs of this source, built once by this process.
pub(crate) async fn binaries() -> Binaries {
    static BUILT: OnceCell<Binaries> = OnceCell::const_new();
    let build = || Binaries::build(Profile::Dev);
    BUILT.get_or_try_init(build).await.unwrap().clone()
}

/// A worker without the part that SABOTAGE names.
pub(crate) async fn sabotaged() -> PathBuf {
    const FEATURE: &str = "throughline-worker/sabotage";
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    binaries().await;
    let build = || Binaries::build_extra("throughline-worker-sabotaged", FEATURE);
    BUILT.get_or_try_init(build).await.unwrap().clone()
}
