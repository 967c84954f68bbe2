//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`, as protobuf or JSON, plain or gzip.
//!
//! The body is read raw and unpacked here, so that it does not depend on which actix features the build turned on.

use std::io::Read;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;

use super::{Answer, Export, MAX_EXPORT_BYTES};
use crate::store::TraceStore;

/// The routes; the store is taken from the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/v1/traces").post(export::<ExportTraceServiceRequest>))
        .service(web::resource("/v1/metrics").post(export::<ExportMetricsServiceRequest>))
        .service(web::resource("/v1/logs").post(export::<ExportLogsServiceRequest>));
}

async fn export<E: Export>(
    request: HttpRequest,
    body: web::Payload,
    store: web::Data<TraceStore>,
) -> HttpResponse {
    let format = Format::of(&request);
    match read::<E>(format, &request, body).await {
        Ok((format, export)) => format.success(&export.accept(&store)),
        Err(refusal) => {
            tracing::warn!(path = request.path(), "refused an export: {refusal}");
            // Whoever sent neither of the two can at least read JSON.
            format.unwrap_or(Format::Json).refusal(&refusal)
        }
    }
}

async fn read<E: Export>(
    format: Option<Format>,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<(Format, E), Refusal> {
    let format = format.ok_or_else(|| Refusal::ContentType(request.content_type().to_owned()))?;
    let body = match body.to_bytes_limited(MAX_EXPORT_BYTES).await {
        Ok(body) => body.map_err(|error| Refusal::Malformed(error.to_string()))?,
        Err(_) => return Err(Refusal::TooLarge),
    };
    let export = match content_encoding(request) {
        "" | "identity" => format.parse(&body),
        "gzip" => format.parse(&gunzip(&body)?),
        other => return Err(Refusal::ContentEncoding(other.to_owned())),
    };
    Ok((format, export?))
}

fn content_encoding(request: &HttpRequest) -> &str {
    let header = request.headers().get(CONTENT_ENCODING);
    header.map_or("", |value| value.to_str().unwrap_or("unreadable"))
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let limit = u64::try_from(MAX_EXPORT_BYTES).unwrap_or(u64::MAX);
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(limit + 1)
        .read_to_end(&mut unpacked);
    match read {
        Ok(_) if unpacked.len() > MAX_EXPORT_BYTES => Err(Refusal::TooLarge),
        Ok(_) => Ok(unpacked),
        Err(error) => Err(Refusal::Malformed(format!("gzip: {error}"))),
    }
}

// === Format ===

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(request: &HttpRequest) -> Option<Self> {
        match request.content_type().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn parse<E: Export>(self, body: &[u8]) -> Result<E, Refusal> {
        match self {
            Self::Protobuf => E::decode(body).map_err(|error| Refusal::Malformed(error.to_string())),
            Self::Json => serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string())),
        }
    }

    fn success<R: Message>(self, answer: &Answer<R>) -> HttpResponse {
        self.answer(StatusCode::OK, &answer.message, &answer.json)
    }

    fn refusal(self, refusal: &Refusal) -> HttpResponse {
        let (status, code) = refusal.codes();
        let error = RpcStatus {
            code,
            message: refusal.to_string(),
        };
        self.answer(status, &error, &error)
    }

    fn answer(self, status: StatusCode, message: &impl Message, json: &impl Serialize) -> HttpResponse {
        match self {
            Self::Protobuf => HttpResponse::build(status)
                .content_type("application/x-protobuf")
                .body(message.encode_to_vec()),
            Self::Json => HttpResponse::build(status).json(json),
        }
    }
}

// === Refusal ===

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("content type is `{0}`; it must be application/x-protobuf or application/json")]
    ContentType(String),
    #[error("content encoding is `{0}`; it must be gzip or absent")]
    ContentEncoding(String),
    #[error("the export is larger than {MAX_EXPORT_BYTES} bytes")]
    TooLarge,
    #[error("the body is not an OTLP export request: {0}")]
    Malformed(String),
}

impl Refusal {
    /// The HTTP status, and the code of `google.rpc.Code` that says the same.
    fn codes(&self) -> (StatusCode, i32) {
        const INVALID_ARGUMENT: i32 = 3;
        const RESOURCE_EXHAUSTED: i32 = 8;
        match self {
            Self::ContentType(_) | Self::ContentEncoding(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT)
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT),
        }
    }
}

/// `google.rpc.Status`, the body of every OTLP/HTTP error.
#[derive(Clone, PartialEq, Message, Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}
