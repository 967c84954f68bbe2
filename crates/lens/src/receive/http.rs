//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`, as protobuf or JSON, plain or gzip.
//!
//! The raw body is decompressed here, which works whatever actix features the build enables.

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

use super::export::{Accepted, Export, MAX_EXPORT_BYTES};
use crate::storage::TelemetryStore;

/// The routes. They need the store in the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/v1/traces").post(export::<ExportTraceServiceRequest>))
        .service(web::resource("/v1/metrics").post(export::<ExportMetricsServiceRequest>))
        .service(web::resource("/v1/logs").post(export::<ExportLogsServiceRequest>));
}

async fn export<E: Export>(
    request: HttpRequest,
    body: web::Payload,
    store: web::Data<TelemetryStore>,
) -> HttpResponse {
    let format = Format::of(&request);
    match read::<E>(format, &request, body).await {
        Ok((format, export)) => format.success(&export.accept(&store)),
        Err(rejection) => {
            tracing::warn!(path = request.path(), "rejected an export: {rejection}");
            format.unwrap_or(Format::Json).rejection(&rejection)
        }
    }
}

async fn read<E: Export>(
    format: Option<Format>,
    request: &HttpRequest,
    body: web::Payload,
) -> Result<(Format, E), Rejection> {
    let format = format.ok_or_else(|| Rejection::ContentType(request.content_type().to_owned()))?;
    let body = match body.to_bytes_limited(MAX_EXPORT_BYTES).await {
        Ok(body) => body.map_err(|error| Rejection::Malformed(error.to_string()))?,
        Err(_) => return Err(Rejection::TooLarge),
    };
    let export = match content_encoding(request) {
        "" | "identity" => format.parse(&body),
        "gzip" => format.parse(&gunzip(&body)?),
        other => return Err(Rejection::ContentEncoding(other.to_owned())),
    };
    Ok((format, export?))
}

fn content_encoding(request: &HttpRequest) -> &str {
    let header = request.headers().get(CONTENT_ENCODING);
    header.map_or("", |value| value.to_str().unwrap_or("unreadable"))
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>, Rejection> {
    let limit = u64::try_from(MAX_EXPORT_BYTES).unwrap_or(u64::MAX);
    let mut decompressed = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(limit + 1)
        .read_to_end(&mut decompressed);
    match read {
        Ok(_) if decompressed.len() > MAX_EXPORT_BYTES => Err(Rejection::TooLarge),
        Ok(_) => Ok(decompressed),
        Err(error) => Err(Rejection::Malformed(format!("gzip: {error}"))),
    }
}

/// The encoding of a request and of its response.
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

    fn parse<E: Export>(self, body: &[u8]) -> Result<E, Rejection> {
        match self {
            Self::Protobuf => E::decode(body).map_err(|error| Rejection::Malformed(error.to_string())),
            Self::Json => {
                serde_json::from_slice(body).map_err(|error| Rejection::Malformed(error.to_string()))
            }
        }
    }

    fn success<R: Message>(self, accepted: &Accepted<R>) -> HttpResponse {
        self.respond(StatusCode::OK, &accepted.message, &accepted.json)
    }

    fn rejection(self, rejection: &Rejection) -> HttpResponse {
        let (status, code) = rejection.codes();
        let error = RpcStatus {
            code,
            message: rejection.to_string(),
        };
        self.respond(status, &error, &error)
    }

    fn respond(self, status: StatusCode, message: &impl Message, json: &impl Serialize) -> HttpResponse {
        match self {
            Self::Protobuf => HttpResponse::build(status)
                .content_type("application/x-protobuf")
                .body(message.encode_to_vec()),
            Self::Json => HttpResponse::build(status).json(json),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error("content type is `{0}`; it must be application/x-protobuf or application/json")]
    ContentType(String),
    #[error("content encoding is `{0}`; it must be gzip or absent")]
    ContentEncoding(String),
    #[error("the export is larger than {MAX_EXPORT_BYTES} bytes")]
    TooLarge,
    #[error("the body is not an OTLP export request: {0}")]
    Malformed(String),
}

impl Rejection {
    /// The HTTP status and the corresponding `google.rpc.Code`.
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
