//! A history is complete, bounded, and readable beside other versions; what is not recorded is derived from
//! the row.

use domain::{Actor, CustomerId, Failure, FailureCode, OrderId, OrderStatus, TraceContext};
use throughline_store::{History, Settlement, Transition};

use crate::setup::{Fixture, MINUTE, attempt, claim_by, claim_of, customer, operator, trace};

async fn history(fixture: &Fixture, id: OrderId) -> History {
    fixture.store.history(id, None).await.unwrap().unwrap()
}

/// From, to, attempt, actor and reason of each transition.
fn steps(history: &History) -> Vec<String> {
    let step = |transition: &Transition| {
        let Transition {
            from,
            to,
            attempt,
            actor,
            reason,
            ..
        } = transition;
        let (from, reason) = (from.as_deref().unwrap_or("-"), reason.as_deref().unwrap_or("-"));
        format!("{from} {to} {attempt} {actor} {reason}")
    };
    history.transitions.iter().map(step).collect()
}

#[tokio::test]
async fn each_transition_says_when_who_and_why_at_the_times_of_the_row() {
    let fixture = Fixture::new().await;
    let (store, order) = (&fixture.store, fixture.paid_order().await);
    let (first, second) = (fixture.claim(&order).await.attempt, attempt(2));
    let timeout = Failure::new(FailureCode::PaymentTimeout, "No response.");
    let waits = store.back_off(claim_of(order.id, first), &timeout, MINUTE).await;
    let job = waits.unwrap().unwrap().next_job();
    // The attempt has a trace of its own, as with JOB_TRACE=link.
    let own = trace(9);
    let claim = store.claim(&job, claim_by(&job), "worker-2", &own, MINUTE);
    claim.await.unwrap().unwrap();
    let declined = Failure::new(FailureCode::CardDeclined, "Declined.");
    let failed = store
        .fail(claim_of(order.id, second), &declined, Settlement::Refused)
        .await;
    let failed_at = failed.unwrap().unwrap().completed_at.unwrap();
    store.retry(order.id, &operator()).await.unwrap();
    store
        .cancel(order.id, None, &Actor::Customer(customer()))
        .await
        .unwrap();

    let history = history(&fixture, order.id).await;
    assert_eq!(
        steps(&history),
        [
            "- pending 0 customer:ada -",
            "pending processing 1 worker:worker-1 -",
            "processing pending 1 worker:worker-1 payment_timeout",
            "pending processing 2 worker:worker-2 -",
            "processing failed 2 worker:worker-2 card_declined",
            "failed pending 2 operator:grace -",
            "pending cancelled 2 customer:ada -",
        ]
    );
    assert!(!history.incomplete);
    let (created, last) = (&history.transitions[0], &history.transitions[6]);
    assert_eq!(created.at, order.created_at);
    assert_eq!(history.transitions[4].at, failed_at);
    let cancelled = fixture.find(order.id).await;
    assert_eq!(
        (last.at, Some(last.at)),
        (cancelled.updated_at, cancelled.completed_at)
    );
    let traces: Vec<_> = history
        .transitions
        .iter()
        .map(|transition| transition.trace_id.as_deref().unwrap().trim_start_matches('0'))
        .collect();
    assert_eq!(traces, ["1", "2", "2", "9", "9", "1", "1"]);
}

#[tokio::test]
async fn only_its_customer_sees_it() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let of = async |customer: &CustomerId| fixture.store.history(order.id, Some(customer)).await.unwrap();
    assert!(of(&customer()).await.is_some());
    assert!(of(&CustomerId::new("grace").unwrap()).await.is_none());
    let unknown = fixture.store.history(OrderId::generate(), None).await.unwrap();
    assert!(unknown.is_none());
}

#[tokio::test]
async fn a_long_history_keeps_its_newest_part_and_says_so() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let mut claimed = fixture.claim(&order).await;
    for _ in 0..200 {
        fixture
            .store
            .release(claim_of(order.id, claimed.attempt))
            .await
            .unwrap();
        claimed = fixture.claim(&fixture.find(order.id).await).await;
    }
    let length = "SELECT octet_length(history) FROM orders";
    let length: i32 = fixture.sql.query_one(length, &[]).await.unwrap().get(0);
    assert!((4_000..8_200).contains(&length), "{length}");
    let history = history(&fixture, order.id).await;
    assert!(history.incomplete);
    let steps = steps(&history);
    assert!((40..200).contains(&steps.len()), "{}", steps.len());
    assert_eq!(steps[0], "- pending 0 customer:ada -");
    assert_eq!(steps[steps.len() - 1], "pending processing 201 worker:worker-1 -");
    assert!(steps[2..].iter().all(|step| step.contains("worker:worker-1")));
}

#[tokio::test]
async fn what_release_0_1_left_is_derived_and_agrees_with_the_row() {
    let fixture = Fixture::new().await;
    let expected = [
        (OrderStatus::Pending, "- pending 2 system payment_timeout"),
        (OrderStatus::Processing, "pending processing 2 worker:unknown -"),
        (OrderStatus::Completed, "processing completed 2 worker:unknown -"),
        (
            OrderStatus::Failed,
            "processing failed 2 worker:unknown payment_timeout",
        ),
        (OrderStatus::Cancelled, "pending cancelled 2 system -"),
    ];
    for (status, step) in expected {
        let order = fixture.order().await;
        fixture.put_into(order.id, status).await;
        fixture
            .update(
                order.id,
                "attempt = 2, failure_code = CASE status WHEN 'pending' THEN 'payment_timeout' ELSE failure_code END, \
                 failure_detail = CASE status WHEN 'pending' THEN '' ELSE failure_detail END",
            )
            .await;
        let history = history(&fixture, order.id).await;
        assert_eq!(steps(&history), ["- pending 0 customer:ada -", step]);
        assert!(history.incomplete, "{status}");
    }
}

/// Two releases run side by side: the older one's UPDATEs append nothing.
#[tokio::test]
async fn transitions_of_an_older_release_leave_a_gap_but_no_contradiction() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    let older = "status = 'pending', attempt = 4, dispatch_after = now()";
    fixture.update(order.id, older).await;
    let derived = history(&fixture, order.id).await;
    assert_eq!(steps(&derived)[2], "- pending 4 system -");
    let order = fixture.find(order.id).await;
    fixture.claim(&order).await;
    let history = history(&fixture, order.id).await;
    assert_eq!(steps(&history)[2..], ["pending processing 5 worker:worker-1 -"]);
    assert!(history.incomplete);
}

#[tokio::test]
async fn a_line_that_this_version_cannot_read_hides_no_other() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    let newer = "history = history || E'\\n{\"at\": 1}\\n[]\\n\\n[1,2]\\n[\"x\",1,\"a\",\"b\"]\\n[9223372036854775807,1,\"a\",\"b\"]'";
    fixture.update(order.id, newer).await;
    fixture
        .store
        .release(claim_of(order.id, attempt(1)))
        .await
        .unwrap();
    let of_newer = history(&fixture, order.id).await;
    assert!(of_newer.incomplete);
    assert_eq!(
        steps(&of_newer)[1..],
        [
            "pending processing 1 worker:worker-1 -",
            "processing pending 1 worker:worker-1 released",
        ]
    );
    // Elements that are appended are ignored, and so is a status that only a newer version knows.
    let newer = "history = history || E'\\n[1,1,\"pending\",\"on_hold\",\"system\",null,null,{\"more\":1}]'";
    fixture.update(order.id, newer).await;
    let steps = steps(&history(&fixture, order.id).await);
    assert_eq!(steps[3..], ["pending on_hold 1 system -", "- pending 1 system -"]);
}

/// The `sub` of an operator's token is text of any length and content.
#[tokio::test]
async fn an_operators_id_is_escaped_and_bounded() {
    let fixture = Fixture::new().await;
    for sub in [
        "\"],[\n\u{7}\\",
        "\u{202e}קבוצה\u{1F600}",
        "'; DROP TABLE orders; --",
        "$1 \0",
    ] {
        let order = fixture.order().await;
        let actor = Actor::Operator(sub.to_owned());
        fixture.store.cancel(order.id, None, &actor).await.unwrap();
        let history = history(&fixture, order.id).await;
        assert_eq!(history.transitions[1].actor, format!("operator:{sub}"));
        assert!(!history.incomplete);
    }
    let order = fixture.order().await;
    let actor = Actor::Operator("é".repeat(100_000));
    fixture.store.cancel(order.id, None, &actor).await.unwrap();
    let history = history(&fixture, order.id).await;
    assert_eq!(history.transitions[1].actor.chars().count(), 128);
}

/// The claim's statement is repeated after a lost response.
#[tokio::test]
async fn a_repeated_claim_is_one_transition() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    for _ in 0..2 {
        let (job, context) = (order.next_job(), TraceContext::default());
        let claim = fixture
            .store
            .claim(&job, claim_by(&job), "worker-1", &context, MINUTE);
        claim.await.unwrap().unwrap();
    }
    assert_eq!(steps(&history(&fixture, order.id).await).len(), 2);
}
