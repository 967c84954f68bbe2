//! A sandbox of the test's own, and the few calls that the tests make of it.

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
        // The client is built for TLS too, and needs to know by what.
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

    /// A payment that is not sent yet.
    pub(crate) fn payment(&self, form: &[(&str, &str)]) -> RequestBuilder {
        self.request("POST", "/v1/payment_intents")
            .bearer_auth(KEY)
            .form(form)
    }

    /// A charge of 15.00 USD for an order, under a key.
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
        let answer = self
            .request("POST", "/sandbox/faults")
            .json(&faults)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request("GET", path).bearer_auth(KEY).send().await.unwrap()
    }

    /// Everything that was charged, newest first.
    pub(crate) async fn charged(&self) -> Vec<Value> {
        let page: Value = self
            .get("/v1/payment_intents?limit=100")
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(page["has_more"], json!(false));
        page["data"].as_array().unwrap().clone()
    }

    /// Holds a charge under `key` inside the sandbox; the returned call ends only when the sandbox lets it go.
    pub(crate) async fn hang(&self, key: &str) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
        self.set_faults(json!({ "hang_rate": 1.0 })).await;
        let send = || tokio::spawn(self.charge(key, "pm_card_visa").send());
        let (mut one, mut other) = (send(), send());
        // One of the two has the key and hangs; the other is told so.
        let (told, hanging) = tokio::select! {
            told = &mut one => (told, other),
            told = &mut other => (told, one),
        };
        assert_eq!(told.unwrap().unwrap().status(), 409);
        hanging
    }
}

pub(crate) async fn json(response: Response) -> Value {
    response.json().await.unwrap()
}
