//! Bulk operations change each order of their filter once, whatever happens to their workers.

use domain::{Actor, CustomerId, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use throughline_store::{Change, Operation, OrderFilter};

use crate::setup::{Fixture, draft};

fn ada() -> Actor {
    Actor::Operator("ada".to_owned())
}

fn failed_with(code: &FailureCode) -> OrderFilter {
    OrderFilter {
        failure_code: Some(code.clone()),
        ..OrderFilter::default()
    }
}

async fn failed(fixture: &Fixture, number: usize) -> Vec<OrderId> {
    let mut ids = Vec::new();
    for _ in 0..number {
        let order = fixture.order().await;
        fixture.put_into(order.id, OrderStatus::Failed).await;
        ids.push(order.id);
    }
    ids
}

/// Executes batches of two orders until no operation is left. Gives the changed orders.
async fn execute(fixture: &Fixture) -> Vec<Order> {
    let mut changed = Vec::new();
    while let Some(batch) = fixture.store.execute_operation(2).await.unwrap() {
        changed.extend(batch.orders.into_iter().map(Result::unwrap));
    }
    changed
}

async fn read(fixture: &Fixture, operation: &Operation) -> Operation {
    fixture.store.operation(operation.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_retry_changes_what_a_single_retry_changes() {
    let fixture = Fixture::new().await;
    let paid = draft(r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#);
    let mut pairs = Vec::new();
    for payment in ["charged", "refused", "cancelled"] {
        let mut pair = Vec::new();
        for _ in 0..2 {
            let order = fixture.create(&CustomerId::new("ada").unwrap(), &paid).await;
            fixture.put_into(order.id, OrderStatus::Failed).await;
            let set = format!(
                "payment_status = '{payment}', payment_id = 'pi_1', final_payment_id = 'pi_1', \
                attempt = 3, attempts_two_step = 2, crashes = 1"
            );
            fixture.update(order.id, &set).await;
            pair.push(order.id);
        }
        fixture.store.retry(pair[0], &ada()).await.unwrap();
        pairs.push(pair);
    }
    fixture
        .store
        .start_operation(Change::Retry, &failed_with(&FailureCode::PaymentTimeout), &ada())
        .await
        .unwrap();
    assert_eq!(execute(&fixture).await.len(), 3);
    let columns = "to_jsonb(orders) - 'id' - 'created_at' - 'updated_at' - 'dispatch_after' - 'trace_context' - 'history' \
        || jsonb_build_object('without times', regexp_replace(history, '[0-9]{16}', ''))";
    for pair in pairs {
        let same = format!(
            "SELECT count(DISTINCT {columns}) FROM orders WHERE id IN ('{}', '{}') AND dispatch_after <= now()",
            pair[0], pair[1]
        );
        let same: i64 = fixture.sql.query_one(&same, &[]).await.unwrap().get(0);
        assert_eq!(same, 1);
    }
}

#[tokio::test]
async fn a_cancellation_changes_what_a_single_one_changes_and_leaves_payments_at_the_gateway() {
    let fixture = Fixture::new().await;
    let (single, bulk, at_gateway) = (
        fixture.paid_order().await,
        fixture.paid_order().await,
        fixture.paid_order().await,
    );
    fixture.update(at_gateway.id, "payment_id = 'pi_1'").await;
    fixture.store.cancel(single.id, None, &ada()).await.unwrap();
    let of_ada = OrderFilter {
        customer: Some(bulk.customer.clone()),
        ..OrderFilter::default()
    };
    assert_eq!(
        fixture
            .store
            .count_changeable(Change::Cancel, &of_ada)
            .await
            .unwrap(),
        1
    );
    let operation = fixture
        .store
        .start_operation(Change::Cancel, &of_ada, &ada())
        .await
        .unwrap();
    let changed = execute(&fixture).await;
    assert_eq!(
        changed.iter().map(|order| order.id).collect::<Vec<_>>(),
        [bulk.id]
    );
    assert_eq!(changed[0].payment_status, PaymentStatus::Cancelled);
    assert_eq!(read(&fixture, &operation).await.done, 1);
    assert_eq!(fixture.find(at_gateway.id).await.status, OrderStatus::Pending);
    let columns = "to_jsonb(orders) - 'id' - 'created_at' - 'updated_at' - 'completed_at' - 'trace_context' - 'history' \
        || jsonb_build_object('without times', regexp_replace(history, '[0-9]{16}', ''))";
    let same = format!("SELECT count(DISTINCT {columns}) FROM orders WHERE status = 'cancelled'");
    assert_eq!(
        fixture.sql.query_one(&same, &[]).await.unwrap().get::<_, i64>(0),
        1
    );
}

#[tokio::test]
async fn an_operation_passes_each_order_once_and_skips_those_that_changed_since() {
    let fixture = Fixture::new().await;
    let ids = failed(&fixture, 5).await;
    let filter = failed_with(&FailureCode::PaymentTimeout);
    let operation = fixture
        .store
        .start_operation(Change::Retry, &filter, &ada())
        .await
        .unwrap();
    assert_eq!(
        (operation.matched, operation.done, operation.finished_at),
        (5, 0, None)
    );
    // One is retried by another operator, and one by this operation and fails again at once; a new one fails.
    fixture.store.retry(ids[0], &ada()).await.unwrap();
    let first = fixture.store.execute_operation(2).await.unwrap().unwrap();
    let mut first: Vec<OrderId> = first.orders.iter().flatten().map(|order| order.id).collect();
    first.sort();
    assert_eq!(first, ids[3..]);
    fixture.update(ids[4], "updated_at = now()").await;
    fixture.put_into(ids[4], OrderStatus::Failed).await;
    failed(&fixture, 1).await;
    let mut rest: Vec<OrderId> = execute(&fixture).await.iter().map(|order| order.id).collect();
    rest.sort();
    assert_eq!(rest, ids[1..3]);
    let operation = read(&fixture, &operation).await;
    assert_eq!((operation.matched, operation.done, operation.skipped), (5, 4, 1));
    assert!(operation.finished_at.is_some());
    assert_eq!(operation.actor, "operator:ada");
    assert_eq!(operation.filter.status, Some(OrderStatus::Failed));
    assert_eq!(fixture.find(ids[4]).await.status, OrderStatus::Failed);
}

#[tokio::test]
async fn two_leaders_and_two_operators_at_once_change_each_order_once() {
    let fixture = Fixture::new().await;
    failed(&fixture, 40).await;
    let filter = failed_with(&FailureCode::PaymentTimeout);
    let mut operations = Vec::new();
    for operator in ["ada", "bob"] {
        let actor = Actor::Operator(operator.to_owned());
        operations.push(
            fixture
                .store
                .start_operation(Change::Retry, &filter, &actor)
                .await
                .unwrap(),
        );
    }
    let leader = async || {
        let mut changed = 0;
        loop {
            match fixture.store.execute_operation(3).await.unwrap() {
                Some(batch) => changed += batch.orders.len(),
                None => return changed,
            }
        }
    };
    let (one, two) = tokio::join!(leader(), leader());
    assert_eq!(one + two, 40);
    let mut done = 0;
    for operation in &operations {
        let operation = read(&fixture, operation).await;
        assert!(operation.finished_at.is_some());
        assert_eq!(operation.done + operation.skipped, 40);
        done += operation.done;
    }
    assert_eq!(done, 40);
}

#[tokio::test]
async fn a_filter_of_a_newer_version_is_left_to_that() {
    let fixture = Fixture::new().await;
    failed(&fixture, 1).await;
    let filter = failed_with(&FailureCode::PaymentTimeout);
    let operation = fixture
        .store
        .start_operation(Change::Retry, &filter, &ada())
        .await
        .unwrap();
    let newer = r#"UPDATE operations SET filter = filter || '{"payment_status": "of_tomorrow"}'"#;
    fixture.sql.batch_execute(newer).await.unwrap();
    assert!(fixture.store.execute_operation(10).await.unwrap().is_none());
    assert_eq!(read(&fixture, &operation).await.finished_at, None);
}

#[tokio::test]
async fn finished_operations_are_pruned_by_age_and_listed_newest_first() {
    let fixture = Fixture::new().await;
    let hour = std::time::Duration::from_secs(3600);
    assert!(fixture.store.pause(&ada()).await.unwrap());
    assert!(!fixture.store.pause(&Actor::System).await.unwrap());
    let state = fixture.store.queue_state().await.unwrap();
    assert_eq!(state.paused_by.as_deref(), Some("operator:ada"));
    assert!(fixture.store.readiness().await.unwrap().1);
    assert!(fixture.store.resume(&ada()).await.unwrap());
    assert!(!fixture.store.resume(&ada()).await.unwrap());
    assert!(!fixture.store.queue_state().await.unwrap().is_paused());
    let filter = OrderFilter {
        customer: Some(CustomerId::new("eve").unwrap()),
        ..OrderFilter::default()
    };
    fixture
        .store
        .start_operation(Change::Cancel, &filter, &ada())
        .await
        .unwrap();
    let kinds = async || -> Vec<String> {
        let operations = fixture.store.operations(10).await.unwrap();
        operations.into_iter().map(|operation| operation.kind).collect()
    };
    assert_eq!(kinds().await, ["cancel", "resume", "pause"]);
    let age = "UPDATE operations SET created_at = created_at - interval '2 h', \
        finished_at = finished_at - interval '2 h' WHERE kind <> 'resume'";
    fixture.sql.batch_execute(age).await.unwrap();
    assert_eq!(fixture.store.prune_operations(hour).await.unwrap(), 1);
    assert_eq!(kinds().await, ["cancel", "resume"]);
}
