//! Which orders a customer sees, and their sort order.

use domain::{CustomerId, Order, OrderId, OrderStatus};
use throughline_store::{Changed, OrderFilter, Sort, StoreError, UnreadableOrder};

use crate::setup::{Fixture, draft, free, operator};

fn named(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

fn of(customer: &CustomerId) -> OrderFilter {
    OrderFilter {
        customer: Some(customer.clone()),
        ..OrderFilter::default()
    }
}

fn with(customer: Option<&CustomerId>, status: OrderStatus) -> OrderFilter {
    OrderFilter {
        customer: customer.cloned(),
        status: Some(status),
        ..OrderFilter::default()
    }
}

fn ids(orders: &[Result<Order, UnreadableOrder>]) -> Vec<OrderId> {
    orders.iter().map(|order| order.as_ref().unwrap().id).collect()
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

    let first = fixture
        .store
        .list(&of(&ada), Sort::NewestFirst, None, 2)
        .await
        .unwrap();
    assert_eq!(ids(&first), own[..2]);
    fixture.create(&ada, &free()).await;
    let second = fixture
        .store
        .list(&of(&ada), Sort::NewestFirst, Some(own[1]), 2)
        .await
        .unwrap();
    assert_eq!(ids(&second), own[2..4]);
    let last = fixture
        .store
        .list(&of(&ada), Sort::NewestFirst, Some(own[3]), 2)
        .await
        .unwrap();
    assert_eq!(ids(&last), own[4..]);
    assert_eq!(
        fixture
            .store
            .list(&OrderFilter::default(), Sort::NewestFirst, None, 100)
            .await
            .unwrap()
            .len(),
        11
    );
}

/// Rows of a newer version: one with another shape of a JSON column, one with an unknown word.
#[tokio::test]
async fn an_order_that_cannot_be_read_hides_no_other() {
    let fixture = Fixture::new().await;
    let newer = "ALTER TABLE orders DROP CONSTRAINT orders_payment_method_check;";
    fixture.sql.batch_execute(newer).await.unwrap();
    let mut orders = Vec::new();
    for set in [
        "items = '[1]'",
        "trace_context = '[]'",
        "attempt_trace_context = '1'",
        "payment_method = 'of_tomorrow', payment_status = 'pending'",
        "failure_code = NULL",
    ] {
        let order = fixture.order().await;
        fixture.update(order.id, set).await;
        orders.push(order.id);
    }
    let found = fixture.store.find_many(&orders).await.unwrap();
    assert_eq!(
        found.iter().flatten().map(|order| order.id).collect::<Vec<_>>(),
        orders[4..]
    );
    orders.reverse();
    let listed = fixture
        .store
        .list(&OrderFilter::default(), Sort::NewestFirst, None, 100)
        .await
        .unwrap();
    let id = |row: &Result<Order, UnreadableOrder>| row.as_ref().map_or_else(|row| row.id, |order| order.id);
    assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), orders);
    assert_eq!(listed.iter().flatten().count(), 1);

    for id in &orders[1..] {
        let cancelled = fixture.store.cancel(*id, None, &operator()).await.unwrap();
        assert!(matches!(cancelled, Changed::DoneUnreadable), "{cancelled:?}");
    }
    let cancelled = "SELECT count(*) FROM orders WHERE status = 'cancelled'";
    let cancelled = fixture.sql.query_one(cancelled, &[]).await.unwrap();
    assert_eq!(cancelled.get::<_, i64>(0), 4);
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
            .list(&with(Some(&ada), *status), Sort::NewestFirst, None, 100)
            .await
            .unwrap();
        assert_eq!(own.len(), 1);
        let order = own[0].as_ref().unwrap();
        assert_eq!((order.status, &order.customer), (*status, &ada));
        let all = fixture
            .store
            .list(&with(None, *status), Sort::NewestFirst, None, 100)
            .await
            .unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().flatten().all(|order| order.status == *status));
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
                    total.status.parse().unwrap(),
                    format!("{} {}", total.sum, total.currency),
                    total.count,
                )
            })
            .collect()
    };
    assert_eq!(
        totals(Some(&named("ada"))).await,
        [
            (OrderStatus::Cancelled, "1000 USD".to_owned(), 1),
            (OrderStatus::Pending, "600 JPY".to_owned(), 2),
            (OrderStatus::Pending, "2000 USD".to_owned(), 2)
        ]
    );
    assert_eq!(
        totals(None).await[2],
        (OrderStatus::Pending, "3000 USD".to_owned(), 3)
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
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}
