//! After an erasure nothing personal of the customer is left, and what accounting needs is as it was.

use domain::{Actor, CustomerId, Failure, FailureCode, Order, OrderId, OrderStatus};
use throughline_store::{Changed, Erasure, IdempotencyKey, Once, Settlement};

use crate::setup::{Fixture, MINUTE, claim_of, customer, draft, operator, trace, without_token};

const PERSONAL: [&str; 6] = [
    "ada",
    "Diary",
    "Pen",
    "pm_ada",
    "00000000000000000001",
    "00000000000000000002",
];
/// What accounting needs.
const ACCOUNTS: &str = "SELECT string_agg(concat_ws(' ', id, amount, currency, status, payment_status, payment_id, \
    failure_code, created_at, updated_at, completed_at, items #> '{0,quantity}', items #> '{1,unit_price_minor}'), \
    ', ' ORDER BY id) FROM orders";

#[tokio::test]
async fn an_erased_customers_orders_hold_nothing_personal_and_keep_their_accounts() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let new = draft(
        r#"{"items":[{"product_name":"Diary","quantity":3,"unit_price":"7"},{"product_name":"Pen","quantity":1,
        "unit_price":"2"}],"payment_method":"credit_card","payment_token":"pm_ada"}"#,
    );
    let mut orders = Vec::new();
    for key in ["1", "2", "3"] {
        let order = Order::new(OrderId::generate(), customer(), new.clone(), trace(1));
        let once = Once {
            key: IdempotencyKey::new(key).unwrap(),
            fingerprint: [7; 32],
            fingerprint_version: 1,
        };
        orders.push(order.id);
        store.create_once(order, MINUTE, &once).await.unwrap();
    }
    let grace = CustomerId::new("grace").unwrap();
    let hers = fixture.create(&grace, &new).await;
    assert_eq!(store.unfinished_of(&customer()).await.unwrap(), 3);
    assert_eq!(
        store.pending_of(&customer(), Some(orders[0]), 5).await.unwrap(),
        orders[1..]
    );
    let failed = fixture.claim(&fixture.find(orders[0]).await).await;
    let why = Failure::new(FailureCode::CardDeclined, "The card of ada was declined.");
    store
        .fail(claim_of(failed.id, failed.attempt), &why, Settlement::Refused)
        .await
        .unwrap();
    let charged = fixture.claim(&fixture.find(orders[1]).await).await;
    store
        .complete(claim_of(charged.id, charged.attempt), Some("pi_1"))
        .await
        .unwrap();
    let herself = Actor::Operator("ada".to_owned());
    store.cancel(orders[2], None, &herself).await.unwrap();
    let accounts = async || -> String { fixture.sql.query_one(ACCOUNTS, &[]).await.unwrap().get(0) };
    let before = accounts().await;

    let mut erasure = Erasure::of(customer());
    let pseudonym = erasure.pseudonym().to_owned();
    assert_eq!(store.erase_orders(&mut erasure, 2).await.unwrap(), 2);
    assert_eq!(store.erase_orders(&mut erasure, 2).await.unwrap(), 1);
    assert_eq!(store.erase_orders(&mut erasure, 2).await.unwrap(), 0);
    assert_eq!(store.erase_keys(&customer(), 2).await.unwrap(), 2);
    assert_eq!(store.erase_keys(&customer(), 2).await.unwrap(), 1);
    assert_eq!(accounts().await, before);
    let rows = "SELECT concat(o, k) FROM orders o LEFT JOIN idempotency_keys k ON k.order_id = o.id \
        WHERE o.customer <> 'grace'";
    let rows = fixture.sql.query(rows, &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let text: String = row.get(0);
        for personal in PERSONAL {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
        assert!(text.contains(&pseudonym), "{text}");
    }
    assert_eq!(
        format!("{:?}", fixture.find(hers.id).await),
        format!("{:?}", without_token(hers))
    );
    let history = store.history(orders[2], None).await.unwrap().unwrap();
    let actors: Vec<&str> = history.transitions.iter().map(|at| at.actor.as_str()).collect();
    assert_eq!(actors, [&format!("customer:{pseudonym}"), "operator:erased"]);
    let history = store.history(orders[0], None).await.unwrap().unwrap();
    assert!(history.transitions.iter().all(|at| at.trace_id.is_none()) && !history.incomplete);
    let erased = fixture.find(orders[0]).await;
    assert_eq!((erased.status, erased.items.len()), (OrderStatus::Failed, 2));
    let Changed::Impossible(impossible) = store.retry(orders[0], &operator()).await.unwrap() else {
        panic!("an erased order was retried, which would charge another token");
    };
    assert_eq!(impossible.change, "retried once its customer was erased");
    assert_eq!(
        store.erase_orders(&mut Erasure::of(customer()), 2).await.unwrap(),
        0
    );
}
