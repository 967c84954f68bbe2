//! A stored order reads back as it was created.

use domain::{Attempt, Order, OrderId, OrderStatus, PaymentStatus, TraceContext};
use throughline_store::StoreError;

use crate::setup::{Fixture, MINUTE, customer, draft, free, trace, without_token};

#[tokio::test]
async fn an_order_reads_back_as_it_was_created() {
    let fixture = Fixture::new().await;
    let new = draft(
        r#"{"items":[{"product_name":"Widget","quantity":3,"unit_price":"1.234"},{"product_name":"Größe 'M'","quantity":1,"unit_price":"2"}],
            "currency":"BHD","payment_method":"paypal","payment_token":"pm_1"}"#,
    );
    let created = fixture.create(&customer(), &new).await;

    assert_eq!(created.items, new.items);
    assert_eq!(created.amount.to_string(), "5.702");
    assert_eq!(created.status, OrderStatus::Pending);
    assert_eq!(created.payment_status, PaymentStatus::Pending);
    assert_eq!(created.attempt, Attempt::NONE);
    assert_eq!(created.trace, trace(1));
    assert_eq!(created.created_at, created.updated_at);

    let read = fixture.find(created.id).await;
    assert_eq!(format!("{read:?}"), format!("{:?}", without_token(created)));
    assert_eq!(fixture.token(read.id).await.as_deref(), Some("pm_1"));
    let due = fixture.due_in(read.id).await.unwrap();
    assert!((1.0..=60.0).contains(&due), "{due}");
    let claimed = fixture.claim(&read).await;
    assert_eq!(claimed.payment_token.unwrap().reveal(), "pm_1");
}

#[tokio::test]
async fn an_order_without_a_payment_or_a_trace_is_stored() {
    let fixture = Fixture::new().await;
    let order = Order::new(OrderId::generate(), customer(), free(), TraceContext::default());
    let id = fixture.store.create(order, MINUTE).await.unwrap().id;
    let read = fixture.find(id).await;
    assert_eq!(read.payment_status, PaymentStatus::NotRequired);
    assert_eq!(read.trace.trace_id(), None);
}

#[tokio::test]
async fn text_that_resembles_sql_or_json_is_stored_as_text() {
    let fixture = Fixture::new().await;
    for name in [
        "'; DROP TABLE orders; --",
        r#"{"a":"\u0000"}"#,
        "$1 \\ \" %s",
        "💳 ＷＩＤＧＥＴ \u{202e}",
    ] {
        let json = serde_json::json!({ "product_name": name, "amount": "1" });
        let created = fixture.create(&customer(), &draft(&json.to_string())).await;
        assert_eq!(fixture.find(created.id).await.product_name(), name);
    }
}

#[tokio::test]
async fn a_thousand_characters_in_each_of_a_hundred_items_fit() {
    let fixture = Fixture::new().await;
    let item =
        serde_json::json!({ "product_name": "ß".repeat(255), "quantity": 100_000, "unit_price": "0.01" });
    let json = serde_json::json!({ "items": vec![item; 100] });
    let created = fixture.create(&customer(), &draft(&json.to_string())).await;
    assert_eq!(fixture.find(created.id).await.items, created.items);
}

#[tokio::test]
async fn an_id_can_be_used_once() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let error = fixture.store.create(order, MINUTE).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_row_of_a_newer_version_is_an_error_with_the_orders_id() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let newer = "ALTER TABLE orders DROP CONSTRAINT orders_payment_method_check;";
    fixture.sql.batch_execute(newer).await.unwrap();
    fixture
        .update(
            order.id,
            "payment_method = 'from_the_future', payment_status = 'pending'",
        )
        .await;
    let error = fixture.store.find(order.id, None).await.unwrap_err();
    let StoreError::Corrupt(source) = &error else {
        panic!("{error:?}")
    };
    assert!(
        source
            .to_string()
            .starts_with(&format!("order {}: `from_the_future`", order.id)),
        "{source}"
    );
}
