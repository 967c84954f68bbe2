//! Every error is a problem (RFC 9457) that names its path and its trace, also those of the framework.

use reqwest::Method;
use serde_json::json;

use crate::limits::raw;
use crate::response::Response;
use crate::service::Api;

#[tokio::test]
async fn errors_of_the_framework_are_problems_too() {
    let api = Api::start().await;
    let nothing = api.get("/api/nothing").await;
    nothing.problem(404, "/api/nothing");
    insta::assert_json_snapshot!("not_found", nothing.snapshot());

    for (method, path, allow) in [
        (Method::PUT, "/api/orders", "GET, HEAD, POST"),
        (Method::POST, "/api/orders/analytics", "GET, HEAD"),
        (
            Method::PATCH,
            "/api/orders/0192e4a0-0000-7000-8000-000000000000",
            "DELETE, GET, HEAD",
        ),
        (Method::POST, "/health", "GET, HEAD"),
        (Method::DELETE, "/health/ready", "GET, HEAD"),
    ] {
        let response = Response::of(api.request(method.clone(), path)).await;
        assert_eq!(response.status, 405, "{method} {path}");
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
        if !path.starts_with("/health") {
            response.problem(405, path);
        }
    }
    let put = Response::of(api.request(Method::PUT, "/api/orders/")).await;
    insta::assert_json_snapshot!("method_not_allowed", put.snapshot());
}

#[tokio::test]
async fn a_body_of_another_media_type_is_415() {
    let api = Api::start().await;
    let post = |content_type: &str, encoding: &str| {
        let request = api
            .request(Method::POST, "/api/orders")
            .body("product_name=Widget");
        request
            .header("content-type", content_type)
            .header("content-encoding", encoding)
    };
    for (content_type, encoding) in [
        ("application/x-www-form-urlencoded", "identity"),
        ("text/json; charset", "identity"),
        ("", "identity"),
        ("application/json", "gzip"),
    ] {
        let response = Response::of(post(content_type, encoding)).await;
        response.problem(415, "/api/orders");
    }
    // It is read, and is not JSON.
    let plain = Response::of(post("application/json; charset=utf-8", "Identity")).await;
    plain.problem(400, "/api/orders");
    let response = Response::of(api.request(Method::POST, "/api/orders")).await;
    insta::assert_json_snapshot!("no_media_type", response.snapshot());
}

#[tokio::test]
async fn json_that_cannot_be_read_is_400_with_its_place() {
    let api = Api::start().await;
    let post = |body: String| {
        let request = api.request(Method::POST, "/api/orders").body(body);
        Response::of(request.header("content-type", "application/json"))
    };
    let response = post("{\n  \"amount\": }".to_owned()).await;
    insta::assert_json_snapshot!("bad_json", response.snapshot());
    for body in ["", "{", "nul", "{\"product_name\":\"\u{1}\"}"] {
        let response = post(body.to_owned()).await;
        let detail = response.problem(400, "/api/orders");
        assert!(detail.contains("line 1 column "), "{body}: {detail}");
    }
    let deep = post(format!("{{\"items\":{}", "[".repeat(50_000))).await;
    assert!(
        deep.problem(400, "/api/orders").contains("recursion limit"),
        "{deep:?}"
    );
}

#[tokio::test]
async fn all_errors_of_a_body_are_reported_together() {
    let api = Api::start().await;
    let body = json!({
        "items": [
            { "product_name": "a\u{0}b", "quantity": 0, "unit_price": "1.999" },
            { "product_name": 7, "quantity": -1, "unit_price": null, "colour": "red" },
        ],
        "currency": "usd",
        "payment_method": ["cash"],
        "payment_token": "a b",
    });
    let response = api.post("/api/orders", &body).await;
    response.problem(422, "/api/orders");
    insta::assert_json_snapshot!("invalid_body", response.snapshot());

    let response = api.post("/api/orders", &json!({ "product": "Widget" })).await;
    insta::assert_json_snapshot!("unknown_field", response.snapshot());
    let response = api.post("/api/orders", &json!(["Widget"])).await;
    insta::assert_json_snapshot!("not_an_object", response.snapshot());
}

#[tokio::test]
async fn no_rejected_request_gets_a_large_response() {
    let api = Api::start().await;
    let text = "\u{200b}".repeat(20_000);
    let path = format!("/api/{}", "\"".repeat(60_000));
    let items = format!("{{\"items\":[{}]}}", vec!["{}"; 21_841].join(","));
    for (name, body) in [
        ("items", items),
        ("an unknown field", format!("{{\"{text}\":1}}")),
        (
            "a value of another type",
            format!("{{\"amount\":1,\"items\":\"{text}\"}}"),
        ),
        ("tildes", format!("{{\"{}\":1}}", "~".repeat(65_000))),
    ] {
        let request = api.request(Method::POST, "/api/orders").body(body);
        let response = Response::of(request.header("content-type", "application/json")).await;
        response.problem(422, "/api/orders");
        assert!(
            response.text.len() < 8 * 1024,
            "{name}: {} bytes",
            response.text.len()
        );
    }
    let query = format!("/api/orders?{}=1", "x".repeat(60_000));
    for path in [&path, &query] {
        let response = raw(
            &api,
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(response.starts_with("HTTP/1.1 40"), "{response}");
        assert!(response.len() < 8 * 1024, "{} bytes", response.len());
    }
}

#[tokio::test]
async fn an_invalid_query_is_400_and_names_the_parameter() {
    let api = Api::start().await;
    for (query, named) in [
        ("status=done", "`status`"),
        ("limit=0", "`limit`"),
        ("limit=101", "`limit`"),
        ("limit=1e1", "`limit`"),
        ("cursor=x", "`cursor`"),
        // Valid base64 of something else.
        ("cursor=SGVsbG8", "`cursor`"),
        ("colour=red", "`colour`"),
        ("limit=1&limit=2", "`limit`"),
        ("status=%00", "`status`"),
        ("status='%20OR%201=1", "`status`"),
    ] {
        let response = api.get(&format!("/api/orders?{query}")).await;
        let detail = response.problem(400, "/api/orders");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}

#[tokio::test]
async fn an_invalid_id_is_404() {
    let api = Api::start().await;
    for id in [
        "x",
        "0",
        "%00",
        "..%2F",
        "' OR 1=1",
        "0192e4a0-0000-7000-8000-000000000000",
    ] {
        let path = format!("/api/orders/{id}");
        for response in [api.get(&path).await, api.delete(&path).await] {
            assert_eq!(response.status, 404, "{response:?}");
            assert_eq!(response.body["detail"], "There is no such order.", "{id}");
        }
    }
}

#[tokio::test]
async fn an_internal_error_shows_no_internals() {
    let api = Api::start().await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("ALTER TABLE orders RENAME TO hidden")
        .await
        .unwrap();
    let response = api.get("/api/orders").await;
    response.problem(500, "/api/orders");
    insta::assert_json_snapshot!("internal_error", response.snapshot());
}

#[tokio::test]
async fn without_postgresql_the_service_is_alive_but_not_ready() {
    let database = testkit::database().await.unwrap();
    store::migrate(database.url()).await.unwrap();
    let proxy = testkit::Proxy::start(database.url()).await.unwrap();
    let api = Api::on(database, &[("DATABASE_URL", proxy.url())]).await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    proxy.cut().await;
    let deadline = std::time::Duration::from_secs(30);
    let unavailable = testkit::eventually("it to be not ready", deadline, async || {
        let ready = api.get("/health/ready").await;
        (ready.status == 503).then_some(ready)
    })
    .await;
    assert_eq!(unavailable.body["status"], "unavailable");
    assert_eq!(unavailable.body["checks"]["postgresql"], "unavailable");
    assert_eq!(unavailable.body["checks"]["schema"], "unavailable");
    assert_eq!(unavailable.body["checks"]["redis"], "ok");
    assert_eq!(api.get("/health").await.status, 200);
    let orders = api.get("/api/orders").await;
    orders.problem(503, "/api/orders");
    assert_eq!(orders.header("retry-after"), Some("1"));
    proxy.restore().await.unwrap();
    testkit::eventually("it to be ready again", deadline, async || {
        (api.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unavailable_database_is_503_with_retry_after() {
    let api = Api::with(&[("DATABASE_STATEMENT_TIMEOUT", "100ms")]).await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let response = api.get("/api/orders").await;
    response.problem(503, "/api/orders");
    insta::assert_json_snapshot!("unavailable", response.snapshot());
}
