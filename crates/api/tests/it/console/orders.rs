//! Orders: found, understood, changed.

use reqwest::Method;
use serde_json::json;

use super::browser::{Browser, api};
use crate::auth::tokens::token;
use crate::response::Response;
use crate::service::Api;
use crate::worker::Worker;

/// Markup in every text that a client controls.
const CANARY: &str = "<img src=x onerror=alert(1)>\"'&amp;";

async fn order(api: &Api, customer: &str, product: &str) -> String {
    let request = api
        .request(Method::POST, "/api/orders")
        .bearer_auth(token(customer, "orders:write"))
        .header("idempotency-key", format!("<b>key</b>{}", uuid::Uuid::new_v4()));
    let order = json!({ "product_name": product, "amount": "1500.00", "payment_method": "credit_card" });
    let response = Response::of(request.json(&order)).await;
    assert_eq!(response.status, 201, "{response:?}");
    response.body["id"].as_str().unwrap().to_owned()
}

async fn failed_order(api: &Api, customer: &str) -> String {
    let id = order(api, customer, "Widget").await;
    let worker = Worker::of(api);
    worker.fail(&worker.claim(&id).await).await;
    id
}

async fn operator(api: &Api) -> Browser {
    Browser::signed_in(api, &token("root", "orders:admin")).await
}

#[tokio::test]
async fn an_order_is_found_by_its_id_its_trace_and_its_customer() {
    let api = api().await;
    let id = order(&api, "ada", "Widget").await;
    let browser = operator(&api).await;
    let location = async |query: &str| {
        let response = browser.get(&format!("/search?q={query}")).await;
        response.header("location").map(str::to_owned)
    };
    let page = format!("/orders/{id}");
    assert_eq!(location(&id).await.as_deref(), Some(page.as_str()));
    let path = format!("/api/orders/{id}");
    let read = api
        .request(Method::GET, &path)
        .bearer_auth(token("ada", "orders:read"));
    let trace = Response::of(read).await.body["trace_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(location(&trace).await.as_deref(), Some(page.as_str()));
    assert_eq!(location("ada").await.as_deref(), Some(page.as_str()));
    order(&api, "ada", "Gadget").await;
    assert_eq!(location("ada").await.as_deref(), Some("/orders?customer=ada"));
    assert_eq!(location("").await.as_deref(), Some("/orders"));
    let nothing = browser.get("/search?q=%3Cscript%3E").await;
    assert_eq!(nothing.status, 200);
    assert!(
        nothing.text.contains("has this id.") && !nothing.text.contains("<script>"),
        "{}",
        nothing.text
    );
}

#[tokio::test]
async fn the_page_of_an_order_says_what_happened_and_why_it_failed() {
    let api = api().await;
    let id = failed_order(&api, "ada").await;
    let page = operator(&api).await.get(&format!("/orders/{id}")).await;
    assert_eq!(page.status, 200);
    for text in [
        "1,500.00 USD",
        "credit card",
        "The gateway sent no response within the timeout.",
        "Retry once the gateway responds.",
        "customer:ada",
        "Processing, attempt 1",
        "Failed: payment_timeout",
        "high value",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(
        page.text.contains("frame-src")
            || page
                .header("content-security-policy")
                .unwrap()
                .contains("frame-src http://127.0.0.1:8100")
    );
}

#[tokio::test]
async fn no_text_of_a_client_becomes_markup() {
    let api = api().await;
    let id = order(&api, CANARY, CANARY).await;
    let browser = operator(&api).await;
    for path in [
        format!("/orders/{id}"),
        "/orders".to_owned(),
        "/orders?customer=%3Cimg%3E".to_owned(),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            !page.text.contains("<img src=x") && !page.text.contains("<b>key"),
            "{path}: {}",
            page.text
        );
        assert!(!page.text.contains("style="), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert!(page.text.len() < 256 * 1024);
    }
}

#[tokio::test]
async fn an_operator_retries_a_failed_order_and_cancels_it() {
    let api = api().await;
    let id = failed_order(&api, "ada").await;
    let browser = operator(&api).await;
    let (page, retry) = (format!("/orders/{id}"), format!("/orders/{id}/retry"));
    let confirmation = browser.get(&retry).await;
    assert_eq!(confirmation.status, 200);
    assert!(confirmation.text.contains("id=\"confirmation\"") && confirmation.text.contains("1,500.00 USD"));
    assert_eq!(browser.post(&retry, &[("csrf", "x")]).await.status, 403);
    let csrf = browser.csrf().await;
    let retried = browser.post(&retry, &[("csrf", &csrf)]).await;
    assert_eq!(retried.header("location"), Some(page.as_str()), "{retried:?}");
    let shown = browser.get(&page).await;
    assert!(
        shown.text.contains("Retried by an operator") && shown.text.contains("operator:root"),
        "{}",
        shown.text
    );
    assert_eq!(browser.post(&retry, &[("csrf", &csrf)]).await.status, 409);
    let cancelled = browser.post(&format!("{page}/cancel"), &[("csrf", &csrf)]).await;
    assert_eq!(cancelled.status, 303, "{cancelled:?}");
    assert!(browser.get(&page).await.text.contains("Cancelled"));
}

#[tokio::test]
async fn an_observer_is_offered_no_action_and_refused_each() {
    let api = api().await;
    let id = failed_order(&api, "ada").await;
    let observer = Browser::signed_in(&api, &token("eve", "orders:observe")).await;
    for path in [
        format!("/orders/{id}"),
        "/orders?status=failed".to_owned(),
        "/failures".to_owned(),
        "/queue".to_owned(),
    ] {
        let page = observer.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        for action in ["/retry\"", "/cancel\"", "/pause\"", "formaction"] {
            assert!(!page.text.contains(action), "{path} offers {action}");
        }
    }
    let csrf = observer.csrf().await;
    for path in [
        format!("/orders/{id}/retry"),
        format!("/orders/{id}/cancel"),
        "/orders/retry".to_owned(),
        "/orders/cancel".to_owned(),
        "/queue/pause".to_owned(),
        "/queue/resume".to_owned(),
    ] {
        let refused = observer.post(&path, &[("csrf", &csrf), ("id", &id)]).await;
        assert_eq!(refused.status, 403, "{path}");
        assert!(refused.text.contains("orders:admin"), "{}", refused.text);
        assert_eq!(observer.get(&path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged_by_links() {
    let api = api().await;
    let failed = failed_order(&api, "ada").await;
    let pending = order(&api, "grace", "Gadget").await;
    let browser = operator(&api).await;
    for (query, has_failed, has_pending) in [
        ("", true, true),
        (
            "?status=failed&payment_status=&failure_code=&customer=&created_after=&created_before=",
            true,
            false,
        ),
        ("?failure_code=payment_timeout", true, false),
        ("?customer=grace", false, true),
        ("?created_before=2020-01-31T12:00", false, false),
    ] {
        let page = browser.get(&format!("/orders{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        let has = |id: &str| page.text.contains(&format!("href=\"/orders/{id}\""));
        assert_eq!(
            (has(&failed), has(&pending)),
            (has_failed, has_pending),
            "{query}"
        );
    }
    assert_eq!(browser.get("/orders?status=lost").await.status, 400);
    for _ in 0..50 {
        order(&api, "linus", "Bolt").await;
    }
    let first = browser.get("/orders").await.text;
    let (_, rest) = first.split_once("href=\"/orders?cursor=").unwrap();
    let older = browser
        .get(&format!("/orders?cursor={}", rest.split('"').next().unwrap()))
        .await;
    assert!(
        older.text.contains(&failed) && older.text.contains(">Newest</a>"),
        "{}",
        older.text
    );
    let oldest = browser.get("/orders?sort=created_at").await.text;
    let is_ascending = oldest.contains("aria-sort=\"ascending\"") && oldest.contains(">Newer</a>");
    let keeps_sort = oldest.contains("href=\"/orders?sort=created%5Fat&#38;cursor=");
    assert!(oldest.contains(&failed) && is_ascending && keeps_sort, "{oldest}");
}

#[tokio::test]
async fn selected_orders_are_changed_at_once_and_all_of_a_filter_by_an_operation() {
    let api = api().await;
    let ids = [failed_order(&api, "ada").await, failed_order(&api, "grace").await];
    let pending = order(&api, "ada", "Bolt").await;
    let browser = operator(&api).await;
    let preview = browser
        .get(&format!("/orders/retry?id={}&id={}", ids[0], pending))
        .await;
    assert!(preview.text.contains("Retry 2 orders?"), "{}", preview.text);
    let csrf = browser.csrf().await;
    let fields = [("csrf", csrf.as_str()), ("id", &ids[0]), ("id", &pending)];
    let changed = browser.post("/orders/retry", &fields).await;
    assert_eq!(changed.header("location"), Some("/orders?changed=1&unchanged=1"));
    assert!(
        browser
            .get("/orders?changed=1&unchanged=1")
            .await
            .text
            .contains("1 order changed")
    );

    let preview = browser
        .get("/orders/retry?failure_code=payment_timeout&status=failed")
        .await;
    assert!(preview.text.contains("Retry 1 order?"), "{}", preview.text);
    let nothing = browser
        .get("/orders/retry?failure_code=worker_crashed")
        .await
        .text;
    assert!(nothing.contains("Nothing to retry"), "{nothing}");
    assert!(!nothing.contains("Retry 0"), "{nothing}");
    for filter in ["", "?status=completed"] {
        assert_eq!(
            browser.get(&format!("/orders/retry{filter}")).await.status,
            400,
            "{filter}"
        );
    }
    assert_eq!(
        browser.post("/orders/retry", &[("csrf", &csrf)]).await.status,
        400
    );
    let fields = [
        ("csrf", csrf.as_str()),
        ("failure_code", "payment_timeout"),
        ("status", "failed"),
    ];
    let started = browser.post("/orders/retry", &fields).await;
    let operation = started.header("location").unwrap();
    assert!(operation.starts_with("/operations/"), "{started:?}");
    let page = browser.get(operation).await;
    assert!(
        page.text.contains("failed with payment_timeout") && page.text.contains("operator:root"),
        "{}",
        page.text
    );
    assert!(browser.get("/operations").await.text.contains(operation));
    assert_eq!(
        browser
            .get("/operations/0192e4a0-0000-7000-8000-000000000000")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn the_queue_is_paused_and_resumed() {
    let api = api().await;
    let browser = operator(&api).await;
    assert!(browser.get("/queue").await.text.contains("Running"));
    assert!(
        browser
            .get("/queue/pause")
            .await
            .text
            .contains("Pause the queue?")
    );
    let csrf = browser.csrf().await;
    let paused = browser.post("/queue/pause", &[("csrf", &csrf)]).await;
    assert_eq!(paused.header("location"), Some("/queue"));
    let page = browser.get("/queue").await;
    assert!(
        page.text.contains("Paused") && page.text.contains("operator:root"),
        "{}",
        page.text
    );
    browser.post("/queue/resume", &[("csrf", &csrf)]).await;
    assert!(browser.get("/queue").await.text.contains("Running"));
    let operations = browser.get("/operations").await.text;
    assert!(
        operations.contains("Pause") && operations.contains("Resume"),
        "{operations}"
    );
}

#[tokio::test]
async fn failures_are_grouped_by_code_with_the_way_to_a_retry() {
    let api = api().await;
    let id = failed_order(&api, "ada").await;
    let page = operator(&api).await.get("/failures").await;
    for text in [
        "payment_timeout",
        "/orders/retry?status=failed&amp;failure_code=payment_timeout",
        &id,
        "Retry once the gateway responds.",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}
