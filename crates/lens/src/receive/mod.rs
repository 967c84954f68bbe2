//! The OTLP receivers.

mod export;
mod grpc;
mod http;
mod intake;
mod rejection;

pub(crate) use grpc::routes as grpc_routes;
pub(crate) use http::routes as http_routes;
pub(crate) use intake::{Format, Intake};
