//! OTLP over HTTP: one request for each batch, with the retries of `opentelemetry-otlp` 0.33, which has no
//! way to send a request that this crate encoded itself.
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use prost::Message;
use reqwest::{Client, Response};
#[cfg(feature = "http-json")]
use serde::Deserialize;
use url::Url;

use crate::exception;

/// The largest request, in bytes before compression: the limit that the OTLP specification recommends.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// The part of a response that is read, in bytes.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// How requests and responses are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    #[cfg(feature = "http-json")]
    Json,
}

/// Sends the requests of one signal.
#[derive(Debug)]
pub(crate) struct HttpExporter {
    /// Its timeout bounds each attempt.
    pub(crate) client: Client,
    pub(crate) endpoint: Url,
    /// The operator's headers. They win over those that the exporter sets.
    pub(crate) headers: HeaderMap,
    pub(crate) encoding: Encoding,
    pub(crate) gzip: bool,
    /// Bounds all attempts together: none begins later.
    pub(crate) timeout: Duration,
    /// Set by the providers of spans and log records; metrics carry theirs.
    pub(crate) resource: Resource,
    /// For metrics.
    pub(crate) temporality: Temporality,
}

impl HttpExporter {
    /// Sends a request, and again after a retryable failure, until the retries or the timeout are used up.
    pub(super) async fn send(&self, request: Vec<u8>) -> OTelSdkResult {
        let length = request.len();
        if length > MAX_REQUEST_BYTES {
            return Err(OTelSdkError::InternalFailure(format!(
                "a batch of {length} bytes is larger than the {MAX_REQUEST_BYTES} that a collector accepts; lower \
                 OTEL_BSP_MAX_EXPORT_BATCH_SIZE or OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
            )));
        }
        let body = Bytes::from(if self.gzip { gzipped(&request) } else { request });
        let started = Instant::now();
        let mut backoff = Backoff::INITIAL;
        loop {
            let failure = match self.attempt(body.clone()).await {
                Ok(response) => {
                    self.log_rejected(&response);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            let pause = failure.retry_after.and_then(|delay| backoff.next(delay));
            let left = self.timeout.saturating_sub(started.elapsed());
            match pause.filter(|pause| *pause < left) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(OTelSdkError::InternalFailure(failure.message)),
            }
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<Vec<u8>, Failure> {
        let request = self.client.post(self.endpoint.clone()).body(body);
        let response = request.headers(self.all_headers()).send().await;
        let response = response.map_err(Failure::unreachable)?;
        let status = response.status();
        let retry_after = retry_after(status, response.headers());
        let body = start_of_body(response).await.map_err(Failure::unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let message = format!("HTTP export failed with status code: {}", status.as_u16());
        Err(Failure { message, retry_after })
    }

    fn all_headers(&self) -> HeaderMap {
        let content_type = match self.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            #[cfg(feature = "http-json")]
            Encoding::Json => "application/json",
        };
        let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"), " (Rust)");
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (USER_AGENT, HeaderValue::from_static(user_agent)),
        ]);
        if self.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.extend(self.headers.clone());
        headers
    }

    /// Logs a partial success. The rejected records are neither sent again nor counted as dropped.
    fn log_rejected(&self, response: &[u8]) {
        if let Some(partial) = partial_success(self.encoding, response) {
            let (rejected, message) = (partial.rejected, partial.error_message);
            tracing::warn!("the collector rejected {rejected} records of a batch: {message}");
        }
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

async fn start_of_body(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < MAX_RESPONSE_BYTES
        && let Some(chunk) = response.chunk().await?
    {
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A failed attempt.
#[derive(Debug)]
struct Failure {
    message: String,
    /// The shortest pause before a retry that the collector asks for, or 0; `None` for no retry.
    retry_after: Option<Duration>,
}

impl Failure {
    fn unreachable(error: reqwest::Error) -> Self {
        let message = exception::message(&error.without_url());
        Self {
            message: format!("HTTP export failed: {message}"),
            retry_after: Some(Duration::ZERO),
        }
    }
}

/// [`Failure::retry_after`] of a response. <https://opentelemetry.io/docs/specs/otlp/#failures-1>
fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Some(header.and_then(delay).unwrap_or_default())
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(Duration::ZERO),
        _ => None,
    }
}

/// A `Retry-After`: seconds, or an HTTP date.
fn delay(header: &str) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The longest pause that a collector may ask for, so that it cannot stall the export.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);
const MAX_JITTER_MILLISECONDS: u64 = 100;

/// The pauses between attempts: they double, and a collector that asks for a longer one gets it.
#[derive(Debug)]
struct Backoff {
    retries_left: u32,
    delay: Duration,
    max_delay: Duration,
}

impl Backoff {
    const INITIAL: Self = Self {
        retries_left: 3,
        delay: Duration::from_millis(100),
        max_delay: Duration::from_millis(1_600),
    };

    /// The pause before the next attempt; `None` after the last one.
    fn next(&mut self, retry_after: Duration) -> Option<Duration> {
        self.retries_left = self.retries_left.checked_sub(1)?;
        let retry_after = retry_after.min(MAX_RETRY_AFTER);
        if retry_after > self.max_delay {
            self.max_delay = MAX_RETRY_AFTER;
        }
        let base = self.delay.max(retry_after);
        self.delay = (base * 2).min(self.max_delay);
        // Each `RandomState` has random keys.
        let jitter = RandomState::new().hash_one(()) % (MAX_JITTER_MILLISECONDS + 1);
        Some((base + Duration::from_millis(jitter)).min(self.max_delay))
    }
}

/// The same message for all signals in protobuf; in JSON one field has the signal's name.
#[derive(Message)]
#[cfg_attr(feature = "http-json", derive(Deserialize), serde(rename_all = "camelCase"))]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Message)]
#[cfg_attr(
    feature = "http-json",
    derive(Deserialize),
    serde(default, rename_all = "camelCase")
)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    #[cfg_attr(
        feature = "http-json",
        serde(
            alias = "rejectedSpans",
            alias = "rejectedLogRecords",
            alias = "rejectedDataPoints"
        )
    )]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `None` for a full success, and for a response that is not one of OTLP.
fn partial_success(encoding: Encoding, response: &[u8]) -> Option<PartialSuccess> {
    let response: Option<ExportResponse> = match encoding {
        Encoding::Protobuf => ExportResponse::decode(response).ok(),
        #[cfg(feature = "http-json")]
        Encoding::Json => serde_json::from_slice(response).ok(),
    };
    let partial = response?.partial_success?;
    (partial.rejected > 0 || !partial.error_message.is_empty()).then_some(partial)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceResponse,
    };

    use super::super::json;
    use super::*;

    #[tokio::test]
    async fn a_request_that_no_collector_takes_is_not_sent() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = HttpExporter {
            client: Client::new(),
            endpoint: "http://127.0.0.1:9/v1/traces".parse().unwrap(),
            headers: HeaderMap::new(),
            encoding: Encoding::Protobuf,
            gzip: false,
            timeout: Duration::from_secs(1),
            resource: Resource::builder_empty().build(),
            temporality: Temporality::Cumulative,
        };
        let error = exporter
            .send(vec![0; MAX_REQUEST_BYTES + 1])
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("67108865 bytes is larger"), "{error}");
    }

    #[test]
    fn only_a_busy_or_unreachable_collector_gets_the_request_again() {
        let headers = |value: &str| HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        let plain = |code| retry_after(StatusCode::from_u16(code).unwrap(), &HeaderMap::new());
        for code in [429, 502, 503, 504] {
            assert_eq!(plain(code), Some(Duration::ZERO), "{code}");
        }
        for code in [301, 400, 401, 403, 404, 408, 413, 500, 501, 505] {
            assert_eq!(plain(code), None, "{code}");
        }
        let busy = |value| retry_after(StatusCode::SERVICE_UNAVAILABLE, &headers(value));
        assert_eq!(busy("30"), Some(Duration::from_secs(30)));
        assert_eq!(busy("soon"), Some(Duration::ZERO));
        assert_eq!(busy("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(20));
        let until = busy(&date).unwrap();
        assert!((18..=20).contains(&until.as_secs()), "{until:?}");
        assert_eq!(
            retry_after(StatusCode::BAD_GATEWAY, &headers("30")),
            Some(Duration::ZERO)
        );
    }

    fn pauses<const N: usize>(retry_after: [u64; N]) -> [Option<u64>; N] {
        let mut backoff = Backoff::INITIAL;
        retry_after.map(|seconds| {
            let pause = backoff.next(Duration::from_secs(seconds))?;
            let milliseconds = u64::try_from(pause.as_millis()).unwrap();
            // Without the jitter.
            Some(milliseconds - milliseconds % 200)
        })
    }

    #[test]
    fn pauses_double_and_three_retries_are_all() {
        let doubled = pauses([0, 0, 0, 0]);
        assert_eq!(doubled[1..], [Some(200), Some(400), None]);
        assert_eq!(pauses([1, 0, 0])[..2], [Some(1_000), Some(1_600)]);
    }

    #[test]
    fn a_collector_is_obeyed_for_up_to_thirty_seconds() {
        assert_eq!(pauses([5, 0, 1]), [Some(5_000), Some(10_000), Some(20_000)]);
        assert_eq!(pauses([900, 0, 0]), [Some(30_000); 3]);
    }

    #[test]
    fn a_partial_success_is_read_in_both_encodings() {
        let response = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 7,
                error_message: "too old".to_owned(),
            }),
        };
        for (encoding, body) in [
            (Encoding::Protobuf, response.encode_to_vec()),
            (Encoding::Json, json::encode(&response).unwrap()),
        ] {
            let partial = partial_success(encoding, &body).unwrap();
            assert_eq!((partial.rejected, partial.error_message.as_str()), (7, "too old"));
        }
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            for body in ["", "{}", "not a response"] {
                assert!(
                    partial_success(encoding, body.as_bytes()).is_none(),
                    "{encoding:?} {body}"
                );
            }
        }
    }
}
