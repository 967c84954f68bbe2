//! Every error is a problem (RFC 9457) that names its path and its trace, whoever made it.

use reqwest::Method;
use serde_json::json;

use crate::answer::Answer;
use crate::service::Api;

#[tokio::test]
async fn what_the_framework_answers_is_a_problem_too() {
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
        let answer = Answer::of(api.request(method.clone(), path)).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        if !path.starts_with("/health") {
            answer.problem(405, path);
        }
    }
    let put = Answer::of(api.request(Method::PUT, "/api/orders/")).await;
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
        let answer = Answer::of(post(content_type, encoding)).await;
        answer.problem(415, "/api/orders");
    }
    let answer = Answer::of(api.request(Method::POST, "/api/orders")).await;
    insta::assert_json_snapshot!("no_media_type", answer.snapshot());
}

#[tokio::test]
async fn json_that_cannot_be_read_is_400_with_its_place() {
    let api = Api::start().await;
    let post = |body: String| {
        let request = api.request(Method::POST, "/api/orders").body(body);
        Answer::of(request.header("content-type", "application/json"))
    };
    let answer = post("{\n  \"amount\": }".to_owned()).await;
    insta::assert_json_snapshot!("bad_json", answer.snapshot());
    for body in ["", "{", "nul", "{\"product_name\":\"\u{1}\"}"] {
        let answer = post(body.to_owned()).await;
        let detail = answer.problem(400, "/api/orders");
        assert!(detail.contains("line 1 column "), "{body}: {detail}");
    }
    let deep = post(format!("{{\"items\":{}", "[".repeat(50_000))).await;
    assert!(
        deep.problem(400, "/api/orders").contains("recursion limit"),
        "{deep:?}"
    );
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_body_is_told_at_once() {
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
    let answer = api.post("/api/orders", &body).await;
    answer.problem(422, "/api/orders");
    insta::assert_json_snapshot!("invalid_body", answer.snapshot());

    let answer = api.post("/api/orders", &json!({ "product": "Widget" })).await;
    insta::assert_json_snapshot!("unknown_field", answer.snapshot());
    let answer = api.post("/api/orders", &json!(["Widget"])).await;
    insta::assert_json_snapshot!("not_an_object", answer.snapshot());
}

#[tokio::test]
async fn a_query_that_cannot_be_taken_is_400_and_names_the_parameter() {
    let api = Api::start().await;
    for (query, named) in [
        ("status=done", "`status`"),
        ("limit=0", "`limit`"),
        ("limit=101", "`limit`"),
        ("limit=1e1", "`limit`"),
        ("cursor=x", "`cursor`"),
        // Good base64, of something else.
        ("cursor=SGVsbG8", "`cursor`"),
        ("colour=red", "`colour`"),
        ("limit=1&limit=2", "`limit`"),
        ("status=%00", "`status`"),
        ("status='%20OR%201=1", "`status`"),
    ] {
        let answer = api.get(&format!("/api/orders?{query}")).await;
        let detail = answer.problem(400, "/api/orders");
        assert!(detail.contains(named), "{query}: {detail}");
    }
}

#[tokio::test]
async fn an_id_that_is_none_is_404() {
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
        for answer in [api.get(&path).await, api.delete(&path).await] {
            assert_eq!(answer.status, 404, "{answer:?}");
            assert_eq!(answer.body["detail"], "There is no such order.", "{id}");
        }
    }
}

#[tokio::test]
async fn an_error_of_ours_tells_nothing_of_its_insides() {
    let api = Api::start().await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("ALTER TABLE orders RENAME TO hidden")
        .await
        .unwrap();
    let answer = api.get("/api/orders").await;
    answer.problem(500, "/api/orders");
    insta::assert_json_snapshot!("internal_error", answer.snapshot());
}

#[tokio::test]
async fn without_postgresql_the_service_is_not_ready_and_lives() {
    let database = testkit::database().await.unwrap();
    store::migrate(database.url()).await.unwrap();
    let proxy = testkit::Proxy::start(database.url()).await.unwrap();
    let api = Api::on(database, &[("DATABASE_URL", proxy.url())]).await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    proxy.cut().await;
    let away = api.get("/health/ready").await;
    assert_eq!(away.status, 503, "{away:?}");
    assert_eq!(away.body["status"], "unavailable");
    assert_eq!(away.body["checks"]["postgresql"], "unavailable");
    assert_eq!(away.body["checks"]["redis"], "ok");
    assert_eq!(api.get("/health").await.status, 200);
    let orders = api.get("/api/orders").await;
    orders.problem(503, "/api/orders");
    assert_eq!(orders.header("retry-after"), Some("1"));
    proxy.restore().await.unwrap();
    let deadline = std::time::Duration::from_secs(30);
    testkit::eventually("it to be ready again", deadline, async || {
        (api.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_away_is_503_with_retry_after() {
    let api = Api::with(&[("DATABASE_STATEMENT_TIMEOUT", "100ms")]).await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let answer = api.get("/api/orders").await;
    answer.problem(503, "/api/orders");
    insta::assert_json_snapshot!("unavailable", answer.snapshot());
}
