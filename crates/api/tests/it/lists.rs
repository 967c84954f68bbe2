//! Pages: by creation, stable under inserts, linked by `Link`.

use crate::response::Response;
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
    let (seen, pages) = follow(&api, first, true).await;
    assert_eq!((seen, pages), (created, 3));
}

#[tokio::test]
async fn the_oldest_orders_come_first_on_request_and_pages_keep_the_order() {
    let api = Api::start().await;
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(api.order().await);
    }
    let first = api.get("/api/orders?sort=created_at&limit=2").await;
    assert_eq!(follow(&api, first, false).await, (created.clone(), 3));
    created.reverse();
    assert_eq!(api.get("/api/orders?sort=-created_at").await.ids(), created);
    for unknown in ["sort=", "sort=amount", "sort=created_at&sort=created_at"] {
        assert_eq!(
            api.get(&format!("/api/orders?{unknown}")).await.status,
            400,
            "{unknown}"
        );
    }
}

/// The ids on this page and all that follow it, and the number of pages. An order may be created before each.
async fn follow(api: &Api, first: Response, orders_arrive: bool) -> (Vec<String>, usize) {
    let mut seen = first.ids();
    let mut link = first.header("link").map(str::to_owned);
    let mut pages = 1;
    while let Some(next) = link {
        if orders_arrive {
            api.order().await;
        }
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
    (seen, pages)
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
