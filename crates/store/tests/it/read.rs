//! Which orders a customer sees, and their sort order.

use domain::{CustomerId, Order, OrderId, OrderStatus};
use throughline_store::StoreError;

use crate::setup::{Fixture, draft, free};

fn named(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

fn ids(orders: &[Order]) -> Vec<OrderId> {
    orders.iter().map(|order| order.id).collect()
}

#[tokio::test]
async fn a_customer_finds_only_its_own_orders() {
    let fixture = Fixture::new().await;
    let order = fixture.create(&named("ada"), &free()).await;
    let find =
        async |customer: Option<&CustomerId>| fixture.store.find(order.id, customer).await.unwrap().is_some();
    assert!(find(Some(&named("ada"))).await);
    assert!(!find(Some(&named("bob"))).await);
    assert!(find(None).await);
    assert!(
        fixture
            .store
            .find(OrderId::generate(), None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn pages_are_newest_first_and_stable_while_orders_are_created() {
    let fixture = Fixture::new().await;
    let (ada, bob) = (named("ada"), named("bob"));
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(fixture.create(&ada, &free()).await.id);
        fixture.create(&bob, &free()).await;
    }
    own.reverse();

    let first = fixture.store.list(Some(&ada), None, None, 2).await.unwrap();
    assert_eq!(ids(&first), own[..2]);
    fixture.create(&ada, &free()).await;
    let second = fixture
        .store
        .list(Some(&ada), None, Some(own[1]), 2)
        .await
        .unwrap();
    assert_eq!(ids(&second), own[2..4]);
    let last = fixture
        .store
        .list(Some(&ada), None, Some(own[3]), 2)
        .await
        .unwrap();
    assert_eq!(ids(&last), own[4..]);
    assert_eq!(fixture.store.list(None, None, None, 100).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_list_of_one_status_contains_no_other() {
    let fixture = Fixture::new().await;
    let (ada, bob) = (named("ada"), named("bob"));
    for status in OrderStatus::ALL {
        for customer in [&ada, &bob] {
            let order = fixture.create(customer, &free()).await;
            fixture.put_into(order.id, *status).await;
        }
    }
    for status in OrderStatus::ALL {
        let own = fixture
            .store
            .list(Some(&ada), Some(*status), None, 100)
            .await
            .unwrap();
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].status, &own[0].customer), (*status, &ada));
        let all = fixture.store.list(None, Some(*status), None, 100).await.unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|order| order.status == *status));
    }
}

#[tokio::test]
async fn totals_are_by_status_and_currency() {
    let fixture = Fixture::new().await;
    let yen = draft(r#"{"product_name":"Widget","amount":"300","currency":"JPY"}"#);
    let cancelled = fixture.create(&named("ada"), &free()).await;
    fixture.put_into(cancelled.id, OrderStatus::Cancelled).await;
    for customer in ["ada", "ada", "bob"] {
        fixture.create(&named(customer), &free()).await;
        fixture.create(&named(customer), &yen).await;
    }
    let totals = async |customer: Option<&CustomerId>| -> Vec<(OrderStatus, String, i64)> {
        let totals = fixture.store.totals(customer).await.unwrap();
        totals
            .iter()
            .map(|total| {
                (
                    total.status,
                    format!("{} {}", total.sum, total.sum.currency().code()),
                    total.count,
                )
            })
            .collect()
    };
    assert_eq!(
        totals(Some(&named("ada"))).await,
        [
            (OrderStatus::Cancelled, "10.00 USD".to_owned(), 1),
            (OrderStatus::Pending, "600 JPY".to_owned(), 2),
            (OrderStatus::Pending, "20.00 USD".to_owned(), 2)
        ]
    );
    assert_eq!(
        totals(None).await[2],
        (OrderStatus::Pending, "30.00 USD".to_owned(), 3)
    );
    assert_eq!(totals(Some(&named("eve"))).await, []);
}

#[tokio::test]
async fn a_sum_beyond_a_bigint_is_an_error() {
    let fixture = Fixture::new().await;
    for _ in 0..2 {
        let order = fixture.order().await;
        fixture.update(order.id, &format!("amount = {}", i64::MAX)).await;
    }
    let error = fixture.store.totals(None).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");
}
