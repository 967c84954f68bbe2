//! OTLP over HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`, as protobuf or JSON, plain or gzip.
//!
//! The raw body is decompressed here, which works whatever actix features the build enables.

use std::io::Read;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;
use tokio::time::timeout;

use super::export::{Accepted, Export};
use super::intake::{Format, Intake};
use super::rejection::{READ_TIMEOUT, Rejection};

/// The routes. They need the intake in the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/v1/traces").post(export::<ExportTraceServiceRequest>))
        .service(web::resource("/v1/metrics").post(export::<ExportMetricsServiceRequest>))
        .service(web::resource("/v1/logs").post(export::<ExportLogsServiceRequest>));
}

async fn export<E: Export>(
    request: HttpRequest,
    body: web::Payload,
    intake: web::Data<Intake>,
) -> HttpResponse {
    let format = Format::of(&request);
    match read::<E>(format, &request, body, &intake).await {
        Ok((format, accepted)) => format.success(&accepted),
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
    intake: &Intake,
) -> Result<(Format, Accepted<E::Response>), Rejection> {
    let format = format.ok_or_else(|| Rejection::ContentType(request.content_type().to_owned()))?;
    let limit = intake.max_export_bytes();
    let _place = intake.place().await;
    let body = timeout(READ_TIMEOUT, body.to_bytes_limited(limit))
        .await
        .map_err(|_| Rejection::Timeout)?
        .map_err(|_| Rejection::TooLarge(limit))?
        .map_err(|error| Rejection::Malformed(error.to_string()))?;
    let body = match content_encoding(request) {
        "" | "identity" => body,
        "gzip" => gunzip(&body, limit)?,
        other => return Err(Rejection::ContentEncoding(other.to_owned())),
    };
    Ok((format, intake.accept::<E>(format, &body)?))
}

fn content_encoding(request: &HttpRequest) -> &str {
    let header = request.headers().get(CONTENT_ENCODING);
    header.map_or("", |value| value.to_str().unwrap_or("unreadable"))
}

/// Stops at the limit, so that a small body cannot become a large one.
fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, Rejection> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decompressed = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(most)
        .read_to_end(&mut decompressed);
    match read {
        Ok(_) if decompressed.len() > limit => Err(Rejection::TooLarge(limit)),
        Ok(_) => Ok(decompressed.into()),
        Err(error) => Err(Rejection::Malformed(format!("gzip: {error}"))),
    }
}

impl Format {
    fn of(request: &HttpRequest) -> Option<Self> {
        match request.content_type().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
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

impl Rejection {
    /// The HTTP status and the corresponding `google.rpc.Code`.
    fn codes(&self) -> (StatusCode, i32) {
        const INVALID_ARGUMENT: i32 = 3;
        const DEADLINE_EXCEEDED: i32 = 4;
        const RESOURCE_EXHAUSTED: i32 = 8;
        match self {
            Self::ContentType(_) | Self::ContentEncoding(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT)
            }
            Self::TooLarge(_) | Self::TooManyItems(_) => (StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, DEADLINE_EXCEEDED),
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
