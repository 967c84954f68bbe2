//! OTLP over gRPC: the three collector services, plain or gzip.
//!
//! The services of opentelemetry-proto decode a request before any code here sees it, so these have their own
//! codec, which checks the bytes first.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomData;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use prost::bytes::Buf;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::export::Export;
use super::intake::{Format, Intake};
use super::rejection::{READ_TIMEOUT, Rejection};

pub(crate) fn routes(intake: &Intake) -> Routes {
    Routes::new(Receiver::<ExportTraceServiceRequest>::new(intake))
        .add_service(Receiver::<ExportMetricsServiceRequest>::new(intake))
        .add_service(Receiver::<ExportLogsServiceRequest>::new(intake))
}

/// The service of one signal, and its codec: a request is stored while it is decoded, and becomes its
/// response.
struct Receiver<E> {
    intake: Intake,
    signal: PhantomData<fn() -> E>,
}

impl<E> Receiver<E> {
    fn new(intake: &Intake) -> Self {
        Self {
            intake: intake.clone(),
            signal: PhantomData,
        }
    }
}

impl<E> Clone for Receiver<E> {
    fn clone(&self) -> Self {
        Self::new(&self.intake)
    }
}

impl<E: Export> NamedService for Receiver<E> {
    const NAME: &'static str = E::SERVICE;
}

impl<E: Export> Service<http::Request<Body>> for Receiver<E> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let codec = self.clone();
        Box::pin(async move {
            if !request.uri().path().ends_with("/Export") {
                return Ok(Status::unimplemented("the method is Export").into_http());
            }
            let intake = codec.intake.clone();
            let _place = intake.place().await;
            let mut server = Grpc::new(codec)
                .accept_compressed(Gzip)
                .max_decoding_message_size(intake.max_export_bytes());
            let response = timeout(READ_TIMEOUT, server.unary(Respond, request)).await;
            Ok(response.unwrap_or_else(|_| Status::from(Rejection::Timeout).into_http()))
        })
    }
}

impl<E: Export> Codec for Receiver<E> {
    type Encode = E::Response;
    type Decode = E::Response;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl<E: Export> Decoder for Receiver<E> {
    type Item = E::Response;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // tonic has the whole message in one piece.
        let accepted = self.intake.accept::<E>(Format::Protobuf, buffer.chunk());
        buffer.advance(buffer.remaining());
        match accepted {
            Ok(accepted) => Ok(Some(accepted.message)),
            Err(rejection) => {
                tracing::warn!(service = E::SERVICE, "rejected an export: {rejection}");
                Err(rejection.into())
            }
        }
    }
}

impl<E: Export> Encoder for Receiver<E> {
    type Item = E::Response;
    type Error = Status;

    fn encode(&mut self, response: E::Response, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let encoded = response.encode(buffer);
        encoded.map_err(|error| Status::internal(error.to_string()))
    }
}

struct Respond;

impl<R: Send + 'static> UnaryService<R> for Respond {
    type Response = R;
    type Future = Ready<Result<Response<R>, Status>>;

    fn call(&mut self, request: Request<R>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

impl From<Rejection> for Status {
    fn from(rejection: Rejection) -> Self {
        let message = rejection.to_string();
        match rejection {
            Rejection::TooLarge(_) | Rejection::TooManyItems(_) => Self::resource_exhausted(message),
            Rejection::Timeout => Self::deadline_exceeded(message),
            _ => Self::invalid_argument(message),
        }
    }
}
