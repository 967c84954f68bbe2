//! Redis as a cache, without a Redis: the tests supply the commands' results.

use lens::{Span, SpanKind, Status};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use throughline_telemetry::cache::{Failure, Server};
use tracing::Instrument;

use crate::support::{attribute, keys, lens, point, trace};

async fn get<T, E: Failure>(command: impl Future<Output = Result<T, E>>) -> Span {
    lens();
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let server = Server::new("cache.example.com", 6379, 2);
    let _ = server.run("GET", "GET totals:*", command).instrument(test).await;
    let trace = trace(id.parse().unwrap(), 2).await;
    let span = trace.spans.into_iter().find(|span| span.kind == SpanKind::Client);
    span.unwrap()
}

#[tokio::test]
async fn a_command_has_its_attributes_and_never_a_key() {
    let span = get(async { RedisResult::Ok(Some("value")) }).await;
    assert_eq!(span.name, "GET");
    assert_eq!(span.status, Status::Unset);
    for (name, value) in [
        ("db.system.name", "redis"),
        ("db.operation.name", "GET"),
        ("db.query.text", "GET totals:*"),
        ("db.namespace", "2"),
        ("server.address", "cache.example.com"),
        ("server.port", "6379"),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(keys(&span.attributes).len(), 6);
    let attributes = [("db.system.name", "redis"), ("db.operation.name", "GET")];
    point("db.client.operation.duration", &attributes).await;
}

#[tokio::test]
async fn a_servers_error_has_its_code() {
    let kind = ErrorKind::Server(ServerErrorKind::ReadOnly);
    let span = get::<(), _>(async { Err(RedisError::from((kind, "no"))) }).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "server");
    assert_eq!(attribute(&span, "db.response.status_code").unwrap(), "READONLY");
}

#[tokio::test]
async fn a_lost_connection_and_a_timeout_are_different_errors() {
    let lost = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
    let span = get::<(), _>(async { Err(RedisError::from(lost)) }).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "connection");
    assert_eq!(attribute(&span, "db.response.status_code"), None);
    let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
    let span = get::<(), _>(async { Err(RedisError::from(late)) }).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "timeout");
}

#[tokio::test]
async fn an_undocumented_code_becomes_other() {
    let error = redis::parse_redis_value(b"-ORDER-7 is gone\r\n").unwrap();
    let error = error.extract_error().unwrap_err();
    let span = get::<(), _>(async { Err(error) }).await;
    let code = ("db.response.status_code", "_OTHER");
    assert_eq!(attribute(&span, code.0).unwrap(), code.1);
    point("db.client.operation.duration", &[code]).await;
}
