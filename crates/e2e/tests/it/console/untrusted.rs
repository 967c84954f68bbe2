//! Text of clients is text on every page.

use serde_json::json;
use testkit::Service;

use super::operator;
use crate::shop::Shop;

/// It closes attributes, elements, comments and templates, and runs in each of them.
const CANARY: &str = r#"canary'"></title></script>--><script>window.canary=1</script><img src=x onerror=window.canary=2>{{7*7}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_client_runs_as_a_script() {
    let shop = Shop::open().await;
    let body = json!({
        "items": [{ "product_name": CANARY, "quantity": 1, "unit_price": "9.99" }],
        "payment_method": "credit_card",
        "payment_token": "pm_<script>window.canary=3</script>",
    });
    let key = "\"key-<img/src=x/onerror=window.canary=4>\"";
    let id = shop.final_order(&shop.order_with_key(&body, key).await).await;
    let id = id["id"].as_str().unwrap();
    // A customer's name is the subject of a token, and a failure's detail may have what a gateway sent.
    let sql = shop.database.connect().await.unwrap();
    let change = "UPDATE orders SET customer = $2, failure_detail = $2 WHERE id::text = $1";
    sql.execute(change, &[&id, &CANARY]).await.unwrap();
    sql.execute("UPDATE idempotency_keys SET customer = $1", &[&CANARY])
        .await
        .unwrap();

    let operator = operator(&shop).await;
    let address = |value: &str| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
    for page in [
        "/".to_owned(),
        "/orders".to_owned(),
        format!("/orders/{id}"),
        format!("/orders/{id}/retry"),
        "/failures".to_owned(),
        format!("/orders?customer={}", address(CANARY)),
        format!("/orders?status={}", address(CANARY)),
        format!("/search?q={}", address(CANARY)),
        format!("/sign-in?next={}", address(CANARY)),
        format!("/{}", address(CANARY)),
    ] {
        operator.opens(&page).await;
        assert_eq!(
            operator.runs("return window.canary ?? null").await,
            json!(null),
            "on {page}"
        );
        let foreign = "return document.querySelectorAll('script:not([src^=\"/assets/\"]), img:not([src^=\"/assets/\"])').length";
        assert_eq!(operator.runs(foreign).await, 0, "on {page}");
    }
    operator.opens(&format!("/orders/{id}")).await;
    operator.sees("<script>window.canary=1</script>").await;
    assert!(shop.stack.url(Service::Api).starts_with("http://127.0.0.1"));
}
