//! Lists and counts of every combination of filters contain exactly their orders.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{CustomerId, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use throughline_store::{OrderFilter, Sort};

use crate::setup::{Fixture, claim_of, draft, free};

/// Two customers, and orders in all states, of two times.
async fn orders(fixture: &Fixture) -> Vec<Order> {
    let paid = draft(r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#);
    let mut ids = Vec::new();
    for customer in ["ada", "bob"] {
        let customer = CustomerId::new(customer).unwrap();
        for status in OrderStatus::ALL {
            for new in [&free(), &paid] {
                let order = fixture.create(&customer, new).await;
                if *status == OrderStatus::Completed && order.payment_method.is_some() {
                    fixture
                        .update(order.id, "payment_status = 'charged', payment_id = 'pi_1'")
                        .await;
                }
                fixture.put_into(order.id, *status).await;
                ids.push(order.id);
            }
        }
    }
    for id in ids.iter().step_by(3) {
        let set = "failure_code = 'card_declined', failure_detail = '', \
            payment_status = CASE payment_status WHEN 'cancelled' THEN 'refused' ELSE payment_status END";
        fixture.update(*id, set).await;
    }
    for id in ids.iter().step_by(2) {
        fixture
            .update(*id, "created_at = created_at - interval '2 min'")
            .await;
    }
    let mut orders = Vec::new();
    for id in ids {
        orders.push(fixture.find(id).await);
    }
    orders.sort_by_key(|order| std::cmp::Reverse(order.id));
    orders
}

fn matches(filter: &OrderFilter, order: &Order) -> bool {
    let code = order.failure.as_ref().map(|failure| &failure.code);
    filter
        .customer
        .as_ref()
        .is_none_or(|customer| *customer == order.customer)
        && filter.status.is_none_or(|status| status == order.status)
        && filter
            .payment_status
            .is_none_or(|status| status == order.payment_status)
        && filter
            .failure_code
            .as_ref()
            .is_none_or(|wanted| Some(wanted) == code)
        && filter.created_after.is_none_or(|at| order.created_at >= at)
        && filter.created_before.is_none_or(|at| order.created_at < at)
}

fn every_filter(middle: DateTime<Utc>) -> Vec<OrderFilter> {
    let none_or = |some: &[OrderStatus]| {
        let some = some.iter().copied().map(Some);
        std::iter::once(None).chain(some).collect::<Vec<_>>()
    };
    let payments = PaymentStatus::ALL.iter().copied().map(Some);
    let payments: Vec<_> = std::iter::once(None).chain(payments).collect();
    let codes = [
        None,
        Some(FailureCode::CardDeclined),
        Some("of_tomorrow".to_owned().into()),
    ];
    let mut filters = Vec::new();
    for customer in [None, Some(CustomerId::new("ada").unwrap())] {
        for status in none_or(OrderStatus::ALL) {
            for payment_status in &payments {
                for failure_code in &codes {
                    for (created_after, created_before) in
                        [(None, None), (Some(middle), None), (None, Some(middle))]
                    {
                        filters.push(OrderFilter {
                            customer: customer.clone(),
                            status,
                            payment_status: *payment_status,
                            failure_code: failure_code.clone(),
                            created_after,
                            created_before,
                        });
                    }
                }
            }
        }
    }
    filters
}

/// In pages of three.
async fn all(fixture: &Fixture, filter: &OrderFilter, sort: Sort) -> Vec<OrderId> {
    let mut listed = Vec::new();
    loop {
        let page = fixture
            .store
            .list(filter, sort, listed.last().copied(), 3)
            .await
            .unwrap();
        listed.extend(page.iter().flatten().map(|order| order.id));
        if page.len() < 3 {
            return listed;
        }
    }
}

#[tokio::test]
async fn every_combination_of_filters_lists_and_counts_exactly_its_orders() {
    let fixture = Fixture::new().await;
    let orders = orders(&fixture).await;
    let newest = orders.iter().map(|order| order.created_at).max().unwrap();
    for filter in every_filter(newest - TimeDelta::minutes(1)) {
        let expected: Vec<OrderId> = orders
            .iter()
            .filter(|order| matches(&filter, order))
            .map(|order| order.id)
            .collect();
        assert_eq!(
            all(&fixture, &filter, Sort::NewestFirst).await,
            expected,
            "{filter:?}"
        );
        let mut oldest_first = all(&fixture, &filter, Sort::OldestFirst).await;
        oldest_first.reverse();
        assert_eq!(oldest_first, expected, "{filter:?}");
        let counted = fixture.store.count(&filter).await.unwrap();
        assert_eq!(usize::try_from(counted).unwrap(), expected.len(), "{filter:?}");
    }
}

#[tokio::test]
async fn a_search_finds_an_order_by_its_ids_and_its_customer() {
    let fixture = Fixture::new().await;
    let (unfinished, completed) = (fixture.paid_order().await, fixture.paid_order().await);
    fixture
        .update(unfinished.id, "payment_id = 'pi_unfinished'")
        .await;
    let claimed = fixture.claim(&completed).await;
    let completed = fixture
        .store
        .complete(claim_of(claimed.id, claimed.attempt), Some("pi_final"))
        .await;
    let completed = completed.unwrap().unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traced = format!("trace_context = '{{\"traceparent\": \"00-{trace}-b7ad6b7169203331-01\"}}'");
    let found = async |text: &str| -> Vec<OrderId> {
        let found = fixture.store.search(text).await.unwrap();
        found.iter().flatten().map(|order| order.id).collect()
    };
    assert_eq!(found(&completed.id.to_string()).await, [completed.id]);
    assert_eq!(found("pi_final").await, [completed.id]);
    assert_eq!(found(" pi_unfinished ").await, [unfinished.id]);
    assert_eq!(found("ada").await, [completed.id, unfinished.id]);
    for order in [&completed, &unfinished] {
        fixture.update(order.id, &traced).await;
    }
    let mut of_trace = found(&trace.to_uppercase()).await;
    of_trace.sort();
    assert_eq!(of_trace, [unfinished.id, completed.id]);
    for nothing in ["", "eve", "pi_", "\0", trace.get(1..).unwrap(), "' OR true --"] {
        assert_eq!(found(nothing).await, [], "{nothing:?}");
    }
}
