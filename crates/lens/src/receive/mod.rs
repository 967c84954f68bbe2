//! The OTLP receivers.

mod export;
mod grpc;
mod http;

pub(crate) use grpc::routes as grpc_routes;
pub(crate) use http::routes as http_routes;
