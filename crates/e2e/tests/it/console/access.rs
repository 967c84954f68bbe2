//! Who may open the console, and who may act there.

use testkit::Service;

use super::seed::outage;
use crate::caller::{AUTHENTICATION, token};
use crate::operator::Operator;
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_a_session_asks_for_a_token_and_returns_after_it() {
    let shop = Shop::open_with(&AUTHENTICATION).await;
    outage(&shop.database, 3).await;
    let mut operator = Operator::at(&shop.stack.url(Service::Api)).await;
    operator.expects("status of 401");
    operator.expects("status of 403");

    operator.opens("/orders?status=failed").await;
    operator.sees("Sign in").await;
    operator.signs_in("no token").await;
    operator.sees("Sign in").await;
    operator.signs_in(&token("ada", "orders:read orders:write")).await;
    operator.sees("orders:observe").await;
    assert!(operator.ids().await.is_empty());

    operator.signs_in(&token("ada", "orders:admin")).await;
    operator.is_at("/orders?status=failed").await;
    assert_eq!(operator.ids().await.len(), 3);
    // No script can read the session, and no page holds the token.
    assert_eq!(operator.runs("return document.cookie").await, "");
    operator.clicks("Sign out").await;
    operator.sees("Sign in").await;
    operator.opens("/orders").await;
    operator.sees("Sign in").await;
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_is_offered_no_action_and_refused_each() {
    let shop = Shop::open_with(&AUTHENTICATION).await;
    outage(&shop.database, 3).await;
    let mut operator = Operator::at(&shop.stack.url(Service::Api)).await;
    operator.expects("status of 401");
    operator.expects("status of 403");
    operator.opens("/orders").await;
    operator.signs_in(&token("bob", "orders:observe")).await;
    operator.is_at("/orders").await;
    operator.sees("read-only").await;
    let order = format!("/orders/{}", operator.ids().await[0]);

    for page in ["/", "/orders", &order, "/failures", "/queue", "/operations"] {
        operator.opens(page).await;
        let actions = "return [...document.querySelectorAll('main form[method=post], main [data-dialog], main [formaction], main input[name=id]')]
            .map(one => one.outerHTML.slice(0, 120))";
        assert_eq!(operator.runs(actions).await, serde_json::json!([]), "on {page}");
    }
    let actions = [
        format!("{order}/retry"),
        format!("{order}/cancel"),
        "/orders/retry".to_owned(),
        "/orders/cancel".to_owned(),
        "/queue/pause".to_owned(),
        "/queue/resume".to_owned(),
    ];
    for action in &actions {
        assert_eq!(operator.posts(action).await, 403, "POST {action}");
    }
    operator.leaves().await;
    let sql = shop.database.connect().await.unwrap();
    let failed = sql.query_one("SELECT count(*) FROM orders WHERE status = 'failed'", &[]);
    assert_eq!(failed.await.unwrap().get::<_, i64>(0), 3);
}

/// A form of another site has the cookie neither of a browser that honours SameSite, nor the form's secret.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_without_the_secret_of_the_session_is_refused() {
    let shop = Shop::open_with(&AUTHENTICATION).await;
    let mut operator = Operator::at(&shop.stack.url(Service::Api)).await;
    operator.expects("status of 401");
    operator.expects("status of 403");
    operator.opens("/queue").await;
    operator.signs_in(&token("ada", "orders:admin")).await;
    operator.is_at("/queue").await;
    assert_eq!(operator.posts("/queue/pause").await, 403);
    operator.leaves().await;
}
