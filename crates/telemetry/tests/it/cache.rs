//! Redis as a cache: the tests supply the commands' results, except of the traced connection.

use lens::{Span, SpanKind, Status};
use redis::{AsyncCommands, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use throughline_telemetry::cache::{Connection, Failure, Server};
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

#[tokio::test]
async fn a_traced_connection_has_a_span_for_each_command_without_its_key() {
    lens();
    let redis = testkit::redis().await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let plain = client.get_multiplexed_async_connection().await.unwrap();
    let server = Server::new("traced.example.com", 6379, 0);
    let mut redis = Connection::new(plain, server).key_patterns(["van:*"]);
    let key = format!("van:{}", uuid::Uuid::new_v4());
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let work = async {
        let () = redis.set(&key, "joe").await.unwrap();
        let driver: String = redis.get(&key).await.unwrap();
        assert_eq!(driver, "joe");
        redis.lpush::<_, _, ()>(&key, "joe").await.unwrap_err();
        let mut failing = redis::pipe();
        let failing = failing.get(&key).lpush(&key, "joe");
        failing.exec_async(&mut redis).await.unwrap_err();
        let mut pipeline = redis::pipe();
        let pipeline = pipeline.atomic().get(&key).del(&key);
        let (driver, deleted): (String, i64) = pipeline.query_async(&mut redis).await.unwrap();
        assert_eq!((driver.as_str(), deleted), ("joe", 1));
    };
    work.instrument(test).await;
    let mut spans = trace(id.parse().unwrap(), 6).await.spans;
    spans.retain(|span| span.kind == SpanKind::Client);
    spans.sort_by_key(|span| span.start_unix_nano);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["SET", "GET", "LPUSH", "PIPELINE", "MULTI"]);
    let texts: Vec<_> = spans
        .iter()
        .map(|it| attribute(it, "db.query.text").unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "SET van:* ?",
            "GET van:*",
            "LPUSH van:* ?",
            "GET van:*; LPUSH van:* ?",
            "GET van:*; DEL van:*"
        ]
    );
    for failed in &spans[2..4] {
        assert_eq!(attribute(failed, "error.type").unwrap(), "server");
        assert_eq!(attribute(failed, "db.response.status_code").unwrap(), "WRONGTYPE");
    }
    assert_eq!(spans[4].status, Status::Unset);
    assert_eq!(attribute(&spans[4], "db.operation.batch.size").unwrap(), "2");
    let series = [
        ("server.address", "traced.example.com"),
        ("db.operation.name", "MULTI"),
    ];
    point("db.client.operation.duration", &series).await;
}
