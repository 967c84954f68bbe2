//! A private sandbox for each test, and the requests that the tests send to it.

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use throughline_gateway::{Config, Gateway};

pub(crate) const KEY: &str = "sk_test_integration";

/// A running sandbox, and a client for it.
pub(crate) struct Sandbox {
    pub(crate) gateway: Gateway,
    http: reqwest::Client,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::with(Config::local()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        // reqwest is built for TLS without a default provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            gateway: Gateway::start(config).await.unwrap(),
            http: reqwest::Client::new(),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.gateway.url());
        self.http.request(method.parse().unwrap(), url)
    }

    /// A payment request, not sent yet.
    pub(crate) fn payment(&self, form: &[(&str, &str)]) -> RequestBuilder {
        self.request("POST", "/v1/payment_intents")
            .bearer_auth(KEY)
            .form(form)
    }

    /// A charge of 15.00 USD; `key` is the order's id and the idempotency key.
    pub(crate) fn charge(&self, key: &str, card: &str) -> RequestBuilder {
        let form = [
            ("amount", "1500"),
            ("currency", "usd"),
            ("payment_method", card),
            ("confirm", "true"),
            ("metadata[order_id]", key),
        ];
        self.payment(&form).header("Idempotency-Key", key)
    }

    pub(crate) async fn set_faults(&self, faults: Value) {
        let response = self
            .request("POST", "/sandbox/faults")
            .json(&faults)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request("GET", path).bearer_auth(KEY).send().await.unwrap()
    }

    /// The id of an unconfirmed intent of 15.00 USD.
    pub(crate) async fn create(&self, card: &str) -> String {
        let form = [("amount", "1500"), ("currency", "usd"), ("payment_method", card)];
        let response = self.payment(&form).send().await.unwrap();
        assert_eq!(response.status(), 200);
        json(response).await["id"].as_str().unwrap().to_owned()
    }

    /// A request for `operation`, `confirm` or `cancel`, of an intent, not sent yet.
    pub(crate) fn post(&self, id: &str, operation: &str) -> RequestBuilder {
        self.request("POST", &format!("/v1/payment_intents/{id}/{operation}"))
            .bearer_auth(KEY)
            .form::<[(&str, &str)]>(&[])
    }

    /// Every intent, newest first.
    pub(crate) async fn intents(&self) -> Vec<Value> {
        let page = json(self.get("/v1/payment_intents?limit=100").await).await;
        assert_eq!(page["has_more"], json!(false));
        page["data"].as_array().unwrap().clone()
    }

    /// The intents that succeeded, newest first.
    pub(crate) async fn charged(&self) -> Vec<Value> {
        let mut intents = self.intents().await;
        intents.retain(|intent| intent["status"] == "succeeded");
        intents
    }

    pub(crate) async fn status(&self, id: &str) -> Value {
        let intent = json(self.get(&format!("/v1/payment_intents/{id}")).await).await;
        intent["status"].clone()
    }

    pub(crate) async fn stats(&self) -> Value {
        json(self.get("/sandbox/stats").await).await
    }

    /// Makes a charge with `key` hang; the returned request ends only when the sandbox ends the hang.
    pub(crate) async fn hang(&self, key: &str) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
        self.set_faults(json!({ "hang_rate": 1.0 })).await;
        let send = || tokio::spawn(self.charge(key, "pm_card_visa").send());
        let (mut one, mut other) = (send(), send());
        // One of the two reserves the key and hangs; the other gets the conflict.
        let (conflict, hanging) = tokio::select! {
            conflict = &mut one => (conflict, other),
            conflict = &mut other => (conflict, one),
        };
        assert_eq!(conflict.unwrap().unwrap().status(), 409);
        hanging
    }
}

pub(crate) async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}
