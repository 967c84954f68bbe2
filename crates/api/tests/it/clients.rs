//! Rate limits, CORS, conditional requests and trace context.

use reqwest::Method;

use crate::auth::tokens::{SECRET, list, token};
use crate::response::Response;
use crate::service::{Api, widget};

#[tokio::test]
async fn a_client_over_its_limit_gets_429_with_retry_after() {
    let api = Api::with(&[("RATE_LIMIT_PER_SECOND", "3")]).await;
    let first = api.get("/api/orders").await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"default\";q=3;w=1"));
    assert_eq!(first.header("ratelimit"), Some("\"default\";r=2;t=1"));
    let refused = testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        let response = api.get("/api/orders").await;
        (response.status == 429).then_some(response)
    })
    .await;
    refused.problem(429, "/api/orders");
    assert_eq!(refused.header("ratelimit"), Some("\"default\";r=0;t=1"));
    insta::assert_json_snapshot!("too_many_requests", refused.snapshot());
    assert_eq!(api.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn requests_without_a_token_are_limited_by_address() {
    let api = Api::with(&[("RATE_LIMIT_PER_SECOND", "1")]).await;
    let deadline = std::time::Duration::from_secs(30);
    for path in ["/api/nothing", "/docs", "/api/openapi.json"] {
        let refused = testkit::eventually(path, deadline, async || {
            let response = api.get(path).await;
            (response.status == 429).then_some(response)
        })
        .await;
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    for _ in 0..5 {
        assert_eq!(api.get("/health").await.status, 200);
        assert_eq!(api.get("/health/ready").await.status, 200);
    }
}

#[tokio::test]
async fn each_customer_has_its_own_limit() {
    let environment = [
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_SECOND", "1"),
    ];
    let api = Api::with(&environment).await;
    let ada = token("ada", "orders:read");
    testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        (list(&api, &ada).await.status == 429).then_some(())
    })
    .await;
    assert_eq!(list(&api, &token("grace", "orders:read")).await.status, 200);
    // Guessing is limited by address.
    testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        (list(&api, "x").await.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_of_the_allowed_origins_may_call_and_no_others() {
    let api = Api::with(&[("CORS_ALLOWED_ORIGINS", "https://shop.example")]).await;
    let preflight = |origin: &str| {
        let request = api
            .request(Method::OPTIONS, "/api/orders")
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        Response::of(request.header("access-control-request-headers", "authorization,idempotency-key"))
    };
    let good = preflight("https://shop.example").await;
    assert_eq!(good.status, 200, "{good:?}");
    assert_eq!(
        good.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    assert_eq!(good.header("access-control-allow-credentials"), None);
    let bad = preflight("https://evil.example").await;
    assert_eq!(bad.header("access-control-allow-origin"), None);
    bad.problem(400, "/api/orders");

    let request = api
        .request(Method::GET, "/api/orders/x")
        .header("origin", "https://shop.example");
    let error = Response::of(request).await;
    error.problem(404, "/api/orders/x");
    assert_eq!(
        error.header("access-control-allow-origin"),
        Some("https://shop.example")
    );

    let open = Api::with(&[("CORS_ALLOWED_ORIGINS", "*")]).await;
    let request = open
        .request(Method::GET, "/api/orders")
        .header("origin", "https://any.example");
    let response = Response::of(request).await;
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert_eq!(response.header("access-control-allow-credentials"), None);

    let closed = Api::start().await;
    let request = closed
        .request(Method::GET, "/api/orders")
        .header("origin", "https://shop.example");
    assert_eq!(
        Response::of(request).await.header("access-control-allow-origin"),
        None
    );
}

#[tokio::test]
async fn a_client_that_has_the_current_order_gets_304() {
    let api = Api::start().await;
    let path = format!("/api/orders/{}", api.order().await);
    let first = api.get(&path).await;
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    let tag = first.header("etag").unwrap();
    let get = |tags: &str| Response::of(api.request(Method::GET, &path).header("if-none-match", tags));
    for tags in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let response = get(&tags).await;
        assert_eq!((response.status, response.text.as_str()), (304, ""), "{tags}");
        assert_eq!(response.header("etag"), Some(tag));
    }
    assert_eq!(get("\"x\"").await.status, 200);
    api.delete(&path).await;
    let changed = get(tag).await;
    assert_eq!(
        (changed.status, &changed.body["status"]),
        (200, &"cancelled".into())
    );
    assert_ne!(changed.header("etag"), Some(tag));
}

#[tokio::test]
async fn replicas_share_the_limit_of_a_customer_through_redis() {
    let environment = [
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_SECOND", "1"),
    ];
    let one = Api::with(&environment).await;
    let queue = [("QUEUE_NAME", one.queue.as_str())];
    let other = Api::with(&[&environment[..], &queue].concat()).await;
    // At a replica of its own, each customer's first request is taken.
    let customers = std::sync::atomic::AtomicU32::new(0);
    testkit::eventually("429", std::time::Duration::from_secs(60), async || {
        let number = customers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = token(&format!("customer-{number}"), "orders:read");
        assert_eq!(list(&one, &token).await.status, 200);
        (list(&other, &token).await.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_redis_each_replica_limits_by_itself() {
    let unreachable = format!("redis://127.0.0.1:{}", testkit::free_port().unwrap());
    let environment = [
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_SECOND", "1"),
        ("REDIS_URL", &unreachable),
    ];
    let api = Api::with(&environment).await;
    let ada = token("ada", "orders:read");
    testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        (list(&api, &ada).await.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_limits_of_their_own() {
    let environment = [
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("RATE_LIMIT_PER_SECOND", "1"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let api = Api::with(&environment).await;
    let send = async |client: &str, token: &str| {
        let request = api
            .request(Method::GET, "/api/orders")
            .header("x-forwarded-for", client);
        Response::of(request.bearer_auth(token)).await
    };
    let guess = token("ada", "orders:read") + "x";
    testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        (send("198.51.100.1", &guess).await.status == 429).then_some(())
    })
    .await;
    // Its next token is not verified.
    testkit::eventually("429", std::time::Duration::from_secs(30), async || {
        send("198.51.100.1", &guess).await;
        let valid = send("198.51.100.1", &token("grace", "orders:read")).await;
        (valid.status == 429).then_some(())
    })
    .await;
    assert_eq!(send("1.1.1.1, 198.51.100.2", &guess).await.status, 401);
    // Valid tokens count for their customers.
    for customer in ["ada", "grace", "linus"] {
        let valid = send("198.51.100.3", &token(customer, "orders:read")).await;
        assert_eq!(valid.status, 200, "{customer}: {valid:?}");
    }
}

#[tokio::test]
async fn every_response_names_its_request() {
    let lens = testkit::lens().await.unwrap();
    let url = lens.otlp_http_url();
    let api = Api::with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    let own = format!("order-{}", uuid::Uuid::new_v4());
    let request = api.request(Method::POST, "/api/orders").json(&widget());
    let created = Response::of(request.header("x-request-id", &own)).await;
    assert_eq!(created.header("x-request-id"), Some(&*own));
    let line = format!(" http.request.id={own} ");
    let deadline = std::time::Duration::from_secs(30);
    testkit::eventually("a log record", deadline, async || {
        let log = api.log();
        log.lines()
            .any(|log| log.contains("order created") && log.contains(&line))
            .then_some(())
    })
    .await;
    lens.trace_with_span("POST /api/orders", |trace| {
        let mut spans = trace.spans.iter();
        spans.any(|span| span.attributes.get_str("http.request.id") == Some(&own))
    })
    .await;

    let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
    for (sent, echoed) in [
        (&*longest, true),
        (&*too_long, false),
        ("", false),
        ("a b", false),
    ] {
        let request = api.request(Method::GET, "/api/nothing");
        let response = Response::of(request.header("x-request-id", sent)).await;
        let expected = if echoed {
            sent
        } else {
            response.body["trace_id"].as_str().unwrap()
        };
        assert_eq!(response.header("x-request-id"), Some(expected), "{sent}");
    }
    let health = api.get("/health").await;
    assert!(
        health
            .header("x-request-id")
            .unwrap()
            .parse::<uuid::Uuid>()
            .is_ok()
    );
}

#[tokio::test]
async fn an_order_is_not_stored_by_caches() {
    let api = Api::start().await;
    let created = api.post("/api/orders", &widget()).await;
    let path = format!("/api/orders/{}", created.body["id"].as_str().unwrap());
    let mut responses = vec![created];
    for path in [&path, "/api/orders", "/api/orders/analytics"] {
        responses.push(api.get(path).await);
    }
    for response in responses {
        let directive = response.header("cache-control").unwrap();
        assert!(
            directive.contains("private") || directive.contains("no-store"),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn an_invalid_traceparent_starts_a_new_trace() {
    let api = Api::start().await;
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (traceparent, followed) in [
        (good, true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        (
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01, evil: 1",
            false,
        ),
        ("'; DROP TABLE orders; --", false),
        ("", false),
    ] {
        let request = api
            .request(Method::GET, "/api/nothing")
            .header("traceparent", traceparent);
        let response = Response::of(request.header("tracestate", "a=b,,;=\"")).await;
        response.problem(404, "/api/nothing");
        let same = response.body["trace_id"] == "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(same, followed, "{traceparent}");
    }
    // Two headers are ambiguous.
    let two = api
        .request(Method::GET, "/api/nothing")
        .header("traceparent", good);
    let other = "00-11111111111111111111111111111111-b7ad6b7169203331-01";
    let response = Response::of(two.header("traceparent", other)).await;
    response.problem(404, "/api/nothing");
    let trace_id = response.body["trace_id"].as_str().unwrap();
    assert!(
        !good.contains(trace_id) && !other.contains(trace_id),
        "{response:?}"
    );
}

#[tokio::test]
async fn an_open_service_on_loopback_refuses_the_names_of_other_sites() {
    let get = async |api: &Api, host: &'static str| {
        let request = api.request(Method::GET, "/api/orders");
        Response::of(request.header("host", host)).await
    };
    let status = async |api: &Api, host: &'static str| get(api, host).await.status;
    let open = Api::with(&[("AUTH", "off")]).await;
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"] {
        let refused = get(&open, host).await;
        refused.problem(421, "/api/orders");
        assert_eq!(refused.header("x-request-id"), refused.body["trace_id"].as_str());
    }
    for host in ["localhost:1", "127.0.0.1", "[::1]:8080"] {
        assert_eq!(status(&open, host).await, 200, "{host}");
    }
    let closed = Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await;
    assert_eq!(status(&closed, "shop.example").await, 401);
}
