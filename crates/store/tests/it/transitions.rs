//! The SQL agrees with `domain`'s specification on every transition from every status.

use domain::{Failure, FailureCode, ImpossibleTransition, Order, OrderStatus};
use throughline_store::{Changed, Settlement};

use crate::setup::{Fixture, MINUTE, claim_by, claim_of, operator, trace};

type Rule = fn(OrderStatus) -> Result<OrderStatus, ImpossibleTransition>;

/// From each status: the statement has the effect that `domain` allows, or none.
async fn agree(name: &str, rule: Rule, act: impl AsyncFn(&Fixture, &Order) -> Option<OrderStatus>) {
    let fixture = Fixture::new().await;
    for status in OrderStatus::ALL {
        let order = fixture.order().await;
        fixture.put_into(order.id, *status).await;
        if *status == OrderStatus::Processing {
            // Only an expired lease can be claimed; every other write is by its holder.
            fixture.make_due(order.id).await;
        }
        let order = fixture.find(order.id).await;
        let result = act(&fixture, &order).await;
        let expected = rule(*status).ok();
        assert_eq!(result, expected, "{name} from {status}");
        let stored = fixture.find(order.id).await;
        assert_eq!(stored.status, expected.unwrap_or(*status), "{name} from {status}");
        assert_eq!(fixture.due_in(order.id).await.is_none(), stored.status.is_final());
        assert_eq!(stored.completed_at.is_some(), stored.status.is_final());
    }
}

fn failure() -> Failure {
    Failure::new(FailureCode::PaymentTimeout, "No response.")
}

fn status(order: Option<Order>) -> Option<OrderStatus> {
    order.map(|order| order.status)
}

fn changed(change: Changed, rule: Rule, from: OrderStatus) -> Option<OrderStatus> {
    match change {
        Changed::Done(order) => Some(order.status),
        Changed::DoneUnreadable | Changed::NotFound => panic!("{change:?}"),
        Changed::Impossible(impossible) => {
            assert_eq!(Some(impossible), rule(from).err());
            None
        }
    }
}

#[tokio::test]
async fn claim() {
    agree("claim", OrderStatus::claim, async |fixture, order| {
        let job = order.next_job();
        let claim = fixture
            .store
            .claim(&job, claim_by(&job), "worker-1", &trace(2), MINUTE)
            .await
            .unwrap();
        status(claim)
    })
    .await;
}

#[tokio::test]
async fn complete() {
    agree("complete", OrderStatus::complete, async |fixture, order| {
        status(
            fixture
                .store
                .complete(claim_of(order.id, order.attempt), None)
                .await
                .unwrap(),
        )
    })
    .await;
}

#[tokio::test]
async fn fail() {
    agree("fail", OrderStatus::fail, async |fixture, order| {
        status(
            fixture
                .store
                .fail(
                    claim_of(order.id, order.attempt),
                    &failure(),
                    Settlement::Unchanged,
                )
                .await
                .unwrap(),
        )
    })
    .await;
}

#[tokio::test]
async fn back_off() {
    agree("back_off", OrderStatus::back_off, async |fixture, order| {
        status(
            fixture
                .store
                .back_off(claim_of(order.id, order.attempt), &failure(), MINUTE)
                .await
                .unwrap(),
        )
    })
    .await;
}

#[tokio::test]
async fn wait_for_gateway() {
    agree(
        "wait_for_gateway",
        OrderStatus::back_off,
        async |fixture, order| {
            let (store, failure) = (&fixture.store, failure());
            let waiting = store.wait_for_gateway(claim_of(order.id, order.attempt), &failure, MINUTE);
            status(waiting.await.unwrap())
        },
    )
    .await;
}

#[tokio::test]
async fn leave_unreadable() {
    agree(
        "leave_unreadable",
        OrderStatus::back_off,
        async |fixture, order| {
            let left = fixture
                .store
                .leave_unreadable(claim_of(order.id, order.attempt))
                .await;
            left.unwrap().then_some(OrderStatus::Pending)
        },
    )
    .await;
}

#[tokio::test]
async fn release() {
    agree("release", OrderStatus::back_off, async |fixture, order| {
        status(
            fixture
                .store
                .release(claim_of(order.id, order.attempt))
                .await
                .unwrap(),
        )
    })
    .await;
}

#[tokio::test]
async fn an_expired_lease() {
    agree("take_due", OrderStatus::back_off, async |fixture, order| {
        let due = fixture.store.take_due(10).await.unwrap();
        due.iter()
            .any(|due| due.id == order.id)
            .then_some(OrderStatus::Pending)
    })
    .await;
}

#[tokio::test]
async fn cancel() {
    agree("cancel", OrderStatus::cancel, async |fixture, order| {
        let change = fixture.store.cancel(order.id, None, &operator()).await.unwrap();
        changed(change, OrderStatus::cancel, order.status)
    })
    .await;
}

#[tokio::test]
async fn retry() {
    agree("retry", OrderStatus::retry, async |fixture, order| {
        let change = fixture.store.retry(order.id, &operator()).await.unwrap();
        changed(change, OrderStatus::retry, order.status)
    })
    .await;
}
