//! Pages: newest first, stable under inserts, linked by `Link`.

use crate::service::{Api, widget};

#[tokio::test]
async fn pages_follow_each_other_while_orders_come_in() {
    let api = Api::start().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(api.order().await);
    }
    created.reverse();

    let first = api.get("/api/orders?limit=2&status=pending").await;
    insta::assert_json_snapshot!("page", first.snapshot());
    let mut seen = first.ids();
    let mut link = first.header("link").map(str::to_owned);
    let mut pages = 1;
    while let Some(next) = link {
        api.order().await;
        let target = next
            .strip_prefix('<')
            .unwrap()
            .strip_suffix(">; rel=\"next\"")
            .unwrap();
        let page = api.get(target).await;
        assert_eq!(page.status, 200, "{page:?}");
        seen.extend(page.ids());
        link = page.header("link").map(str::to_owned);
        assert_eq!(link.is_none(), page.body["next_cursor"].is_null());
        pages += 1;
    }
    assert_eq!(seen, created);
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn a_list_is_filtered_by_status() {
    let api = Api::start().await;
    let cancelled = api.order().await;
    api.order().await;
    assert_eq!(api.delete(&format!("/api/orders/{cancelled}")).await.status, 204);
    let list = api.get("/api/orders?status=cancelled").await;
    assert_eq!(list.ids(), [cancelled]);
    let none = api.get("/api/orders?status=failed").await;
    insta::assert_json_snapshot!("empty_page", none.snapshot());
    assert_eq!(api.post("/api/orders/", &widget()).await.status, 201);
}
