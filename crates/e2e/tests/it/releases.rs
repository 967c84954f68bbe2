//! The last release and this one on one PostgreSQL, one Redis, and this version's payment sandbox.

use std::collections::HashMap;

use serde_json::{Value, json};
use testkit::{Binaries, Database, Redis, Service, Stack};
use tokio::sync::OnceCell;

use crate::shop::binaries;

/// The commit of release 0.1.
const LAST_RELEASE: &str = "1deb85232892a41799a864720f4a2e0c786116ee";

/// Settings that shorten the tests. Both releases have them.
const SETTINGS: [(Service, &str, &str); 4] = [
    (Service::Api, "ORDER_DISPATCH_GRACE", "3s"),
    (Service::Worker, "ORDER_LEASE", "5s"),
    (Service::Worker, "PAYMENT_TIMEOUT", "5s"),
    (Service::Worker, "SHUTDOWN_TIMEOUT", "10s"),
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    Last,
    This,
}

pub(crate) struct Releases {
    pub(crate) database: Database,
    pub(crate) http: reqwest::Client,
    last: Binaries,
    this: Binaries,
    redis: Redis,
    lens: testkit::Lens,
    gateway: Stack,
}

impl Releases {
    /// Their servers, and a database of the last release. `None` if the clone lacks the history, and may.
    pub(crate) async fn open() -> Option<Self> {
        static LAST: OnceCell<Option<Binaries>> = OnceCell::const_new();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let last = LAST.get_or_try_init(|| Binaries::of_commit(LAST_RELEASE)).await;
        let last = last.unwrap().clone()?;
        let this = binaries().await;
        let (database, redis) = (testkit::database().await.unwrap(), Redis::start().await.unwrap());
        last.migrate(database.url()).await.unwrap();
        let lens = testkit::lens().await.unwrap();
        let gateway = Stack::builder(database.url(), redis.url())
            .only(&[Service::Gateway])
            .binaries(this.clone())
            .telemetry_to(&lens.otlp_http_url());
        Some(Self {
            gateway: gateway.start_without_migration().await.unwrap(),
            // A connection that an old replica closes is not used again.
            http: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            database,
            last,
            this,
            redis,
            lens,
        })
    }

    /// Applies the migrations of this release.
    pub(crate) async fn migrate(&self) {
        self.this.migrate(self.database.url()).await.unwrap();
    }

    /// Starts one replica.
    pub(crate) async fn start(&self, release: Release, service: Service) -> Stack {
        self.start_with(release, service, &[]).await
    }

    pub(crate) async fn start_with(&self, release: Release, service: Service, env: &[(&str, &str)]) -> Stack {
        let binaries = match release {
            Release::Last => &self.last,
            Release::This => &self.this,
        };
        let gateway = self.gateway.url(Service::Gateway);
        let mut stack = Stack::builder(self.database.url(), self.redis.url())
            .only(&[service])
            .binaries(binaries.clone())
            .telemetry_to(&self.lens.otlp_http_url())
            .env(Service::Worker, "PAYMENT_GATEWAY_URL", &gateway);
        for (of, name, value) in SETTINGS {
            stack = stack.env(of, name, value);
        }
        for (name, value) in env {
            stack = stack.env(service, name, value);
        }
        stack.start_without_migration().await.unwrap()
    }

    /// Sets the faults of the payment sandbox.
    pub(crate) async fn gateway_faults(&self, faults: &Value) {
        let url = format!("{}/sandbox/faults", self.gateway.url(Service::Gateway));
        let response = self.http.post(url).json(faults).send().await.unwrap();
        assert!(response.status().is_success());
    }

    /// Charges an order as the last release does: in one step, under the order's id.
    pub(crate) async fn charge_in_one_step(&self, order_id: &str) -> String {
        let url = format!("{}/v1/payment_intents", self.gateway.url(Service::Gateway));
        let form = [
            ("amount", "999"),
            ("currency", "usd"),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("automatic_payment_methods[enabled]", "true"),
            ("automatic_payment_methods[allow_redirects]", "never"),
            ("metadata[order_id]", order_id),
        ];
        let request = self.http.post(url).bearer_auth("sk_test_throughline");
        let request = request.header("Idempotency-Key", order_id).form(&form);
        let response = request.send().await.unwrap().error_for_status().unwrap();
        let intent: Value = response.json().await.unwrap();
        assert_eq!(intent["status"], "succeeded", "{intent}");
        intent["id"].as_str().unwrap().to_owned()
    }

    /// The ids of each order's charges, from the sandbox's ledger.
    pub(crate) async fn charges(&self) -> HashMap<String, Vec<String>> {
        let mut charges: HashMap<String, Vec<String>> = HashMap::new();
        let mut after = String::new();
        loop {
            let url = format!(
                "{}/v1/payment_intents?limit=100{after}",
                self.gateway.url(Service::Gateway)
            );
            let request = self.http.get(url).bearer_auth("sk_test_throughline");
            let page: Value = request.send().await.unwrap().json().await.unwrap();
            for intent in page["data"].as_array().unwrap() {
                let id = intent["id"].as_str().unwrap();
                if intent["status"] == "succeeded" {
                    let order = intent["metadata"]["order_id"].as_str().unwrap();
                    charges.entry(order.to_owned()).or_default().push(id.to_owned());
                }
                after = format!("&starting_after={id}");
            }
            if page["has_more"] == json!(false) {
                return charges;
            }
        }
    }
}
