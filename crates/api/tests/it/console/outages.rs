//! What the console shows while a server is unreachable.

use super::browser::Browser;
use crate::service::Api;

#[tokio::test]
async fn without_redis_every_page_works_and_says_so() {
    let redis = format!("redis://127.0.0.1:{}", testkit::free_port().unwrap());
    let api = Api::with(&[("REDIS_URL", &redis)]).await;
    let id = api.order().await;
    let browser = Browser::at(&api);
    for path in [
        "/",
        "/orders",
        "/failures",
        "/queue",
        "/operations",
        &format!("/orders/{id}"),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(
            page.text.contains("Redis is unreachable."),
            "{path}: {}",
            page.text
        );
    }
}

#[tokio::test]
async fn without_postgresql_a_page_says_what_is_wrong() {
    let database = testkit::database().await.unwrap();
    let url = format!("postgres://x:x@127.0.0.1:{}/x", testkit::free_port().unwrap());
    let api = Api::on(database, &[("DATABASE_URL", &url)]).await;
    let browser = Browser::at(&api);
    for path in ["/", "/orders", "/queue"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 503, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        for text in [
            "PostgreSQL is unreachable.",
            "Orders that were accepted are not lost.",
        ] {
            assert!(page.text.contains(text), "{path}: {}", page.text);
        }
    }
}
