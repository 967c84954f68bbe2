//! The client of the payment gateway, in Stripe's wire format: <https://docs.stripe.com/api/payment_intents>.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use domain::Order;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use settings::{ExposeSecret, SecretString};
use telemetry::http::client::Client;

use super::admission::Admission;
use super::error::{CallError, ErrorResponse, GatewayError};
use super::intent::{Intent, Page};
use crate::config::GatewayConfig;

/// Bytes; Stripe's intents have less than 4 KiB, and a page has 100 of them.
const MAX_BODY: usize = 1 << 20;

/// The gateway, and this worker's admission to it. All clones share it.
#[derive(Clone)]
pub(crate) struct Gateway {
    client: Client,
    plain: reqwest::Client,
    intents: Url,
    host: String,
    key: SecretString,
    timeout: Duration,
    pub(super) admission: Arc<Admission>,
}

/// What an order is charged, and with which token.
pub(super) struct Charge<'a> {
    pub(super) order: &'a Order,
    /// In the currency's smallest unit, as Stripe counts it.
    pub(super) amount: i64,
    pub(super) token: &'a str,
}

/// A page of the gateway's list: the intents that were created within a period, newest first.
pub(super) struct ListQuery<'a> {
    pub(super) from: DateTime<Utc>,
    pub(super) until: Option<DateTime<Utc>>,
    /// The last intent of the page before.
    pub(super) after: Option<&'a str>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: GatewayError,
}

impl Gateway {
    /// `concurrency`: of the worker.
    pub(crate) fn new(config: GatewayConfig, concurrency: usize) -> anyhow::Result<Self> {
        let plain = reqwest::Client::builder()
            .timeout(config.timeout)
            // A redirect would send the form, with the payment token, to another server.
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            client: Client::new(plain.clone()),
            plain,
            intents: config.url.join("/v1/payment_intents")?,
            host: config.url.host_str().unwrap_or_default().to_owned(),
            key: config.key,
            timeout: config.timeout,
            admission: Arc::new(Admission::new(concurrency, config.max_per_second)),
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The timeout of a request.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether orders may be charged: the circuit breaker is closed.
    pub(crate) fn is_available(&self) -> bool {
        self.admission.is_open()
    }

    /// Requests per second that this worker allows itself, unless they are unlimited.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.admission.rate()
    }

    /// Creates the order's intent, which charges nothing before it is confirmed. The gateway returns the same
    /// intent for the same key.
    pub(super) async fn create(
        &self,
        charge: &Charge<'_>,
        key: &str,
        resends: u32,
    ) -> Result<Intent, CallError> {
        let request = self.post(self.intents.clone(), key).form(&parameters(charge));
        self.call(request, resends).await
    }

    /// The charge of release 0.1, which creates and confirms with one request.
    pub(super) async fn charge_in_one_step(
        &self,
        charge: &Charge<'_>,
        key: &str,
        resends: u32,
    ) -> Result<Intent, CallError> {
        let mut parameters = parameters(charge);
        // Where release 0.1 has it: the gateway compares the parameters, perhaps with their order.
        parameters.insert(3, ("confirm", "true".to_owned()));
        let request = self.post(self.intents.clone(), key).form(&parameters);
        self.call(request, resends).await
    }

    pub(super) async fn confirm(&self, id: &str, key: &str, resends: u32) -> Result<Intent, CallError> {
        let url = self.intent(id, Some("confirm"));
        self.call(self.post(url, key), resends).await
    }

    /// Cancels an intent. Afterwards it can charge nothing any more.
    pub(super) async fn cancel(&self, id: &str, key: &str, resends: u32) -> Result<Intent, CallError> {
        let url = self.intent(id, Some("cancel"));
        self.call(self.post(url, key), resends).await
    }

    pub(super) async fn find(&self, id: &str, resends: u32) -> Result<Intent, CallError> {
        self.call(self.get(self.intent(id, None)), resends).await
    }

    pub(super) async fn list(&self, query: &ListQuery<'_>, resends: u32) -> Result<Page, CallError> {
        let mut url = self.intents.clone();
        url.query_pairs_mut()
            .append_pair("limit", "100")
            .append_pair("created[gte]", &query.from.timestamp().to_string())
            .extend_pairs(
                query
                    .until
                    .map(|until| ("created[lte]", until.timestamp().to_string())),
            )
            .extend_pairs(query.after.map(|id| ("starting_after", id)));
        self.call(self.get(url), resends).await
    }

    fn intent(&self, id: &str, action: Option<&str>) -> Url {
        let mut url = self.intents.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(id).extend(action);
        }
        url
    }

    fn post(&self, url: Url, key: &str) -> RequestBuilder {
        self.plain
            .post(url)
            .bearer_auth(self.key.expose_secret())
            .header("Idempotency-Key", key)
    }

    fn get(&self, url: Url) -> RequestBuilder {
        self.plain.get(url).bearer_auth(self.key.expose_secret())
    }

    /// `resends`: how many attempts may have sent this request before.
    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, resends: u32) -> Result<T, CallError> {
        // Boxed, because every job's task would carry it, and few jobs are in a call at a time.
        let response = Box::pin(self.client.execute_again(request.build()?, resends)).await?;
        let (status, headers) = (response.status(), response.headers());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let replayed = header("idempotent-replayed") == Some("true");
        let retry_after = header("retry-after").and_then(|value| retry_after(value, header("date")));
        let body = read_body(response).await?;
        if status == StatusCode::OK {
            // Otherwise perhaps the page of a proxy: what the gateway did is unknown.
            return serde_json::from_slice(&body).map_err(|_| CallError::Unreachable);
        }
        let body: Option<ErrorBody> = serde_json::from_slice(&body).ok();
        let response = ErrorResponse {
            status,
            replayed,
            retry_after,
            error: body.map(|body| body.error),
        };
        Err(response.meaning())
    }
}

fn parameters(charge: &Charge<'_>) -> Vec<(&'static str, String)> {
    let Charge { order, amount, token } = charge;
    vec![
        ("amount", amount.to_string()),
        ("currency", order.amount.currency().code().to_ascii_lowercase()),
        ("payment_method", (*token).to_owned()),
        ("automatic_payment_methods[enabled]", "true".to_owned()),
        ("automatic_payment_methods[allow_redirects]", "never".to_owned()),
        ("metadata[order_id]", order.id.to_string()),
    ]
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110, 10.2.3). A date counts from the response's
/// `Date`, so that the clocks of the two machines need not agree.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let sent_at = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let pause = until.duration_since(sent_at.unwrap_or_else(SystemTime::now));
    Some(pause.unwrap_or_default())
}

/// An incomplete response may still mean that the request was executed.
async fn read_body(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(CallError::Unreachable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// The result of reading an intent at a gateway that sends `response`.
    async fn find(response: &str) -> Result<Intent, CallError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = GatewayConfig {
            url: format!("http://{}", listener.local_addr().unwrap())
                .parse()
                .unwrap(),
            key: "sk_test_1".into(),
            timeout: Duration::from_secs(30),
            max_per_second: None,
        };
        let gateway = Gateway::new(config, 1).unwrap();
        let (found, ()) = tokio::join!(gateway.find("pi_1", 0), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            // The client may hang up before the end.
            let _ = stream.write_all(response.as_bytes()).await;
        });
        found
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = elsewhere.local_addr().unwrap();
        let redirect = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n"
        );
        tokio::select! {
            found = find(&redirect) => assert_eq!(found.unwrap_err(), CallError::Unreachable),
            _ = elsewhere.accept() => panic!("followed"),
        }
    }

    #[tokio::test]
    async fn a_response_is_read_up_to_a_limit() {
        let body = "x".repeat(2 * MAX_BODY);
        let length = body.len();
        let found = find(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        assert_eq!(found.unwrap_err(), CallError::Unreachable);
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let date = Some("Sun, 06 Nov 1994 08:49:30 GMT");
        let seven = Some(Duration::from_secs(7));
        assert_eq!(retry_after("7", date), seven);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", date), seven);
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", date), seven);
        assert_eq!(retry_after("Sun Nov  6 08:49:37 1994", date), seven);
        let past = Some(Duration::ZERO);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:29 GMT", date), past);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", None), past);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
    }
}
