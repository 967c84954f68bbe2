//! Nothing is lost or charged twice under faults; and a worker that loses orders or charges twice is
//! detected.

use std::path::PathBuf;
use std::time::Duration;

use crate::shop::{TIMEOUT, binaries, sabotaged};
use chaos::{Chaos, Fault, Report};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_charged_twice_under_faults() {
    let report = run(Chaos::short(4)).await;
    assert!(report.is_clean(), "{report}");
    let total = report.total();
    assert!(total.accepted > 500, "{report}");
    assert!(
        total.followed > 0 && total.cancelled > 0 && total.retried > 0,
        "{report}"
    );
    assert!(total.retried_together + total.cancelled_together > 0, "{report}");
}

/// Clients use a load balancer that sends requests to ready replicas, and to another one if a connection is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_rolling_restarts_under_load_fail_no_request_and_lose_no_order() {
    let faults = vec![Fault::RollingRestarts];
    let chaos = Chaos {
        faults,
        ..Chaos::full(750, 4)
    };
    let report = run(chaos).await;
    let total = report.total();
    assert!(report.is_clean(), "{report}");
    assert_eq!((total.refused, total.no_response), (0, 0), "{report}");
}

/// Payments take long, so that many are in flight when a worker is paused. Their timeout is longer than the
/// pause: otherwise the responses that arrive meanwhile would be too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_fencing_is_detected() {
    const PAYMENT_TIMEOUT: (&str, &str) = ("PAYMENT_TIMEOUT", "60s");
    let paused = async |env: &[(&str, &str)]| {
        let chaos = Chaos {
            gateway_latency: Duration::from_secs(2),
            final_timeout: TIMEOUT,
            ..under(Fault::WorkerPaused, sabotaged().await, env)
        };
        run(chaos).await.total()
    };
    let broken = paused(&[PAYMENT_TIMEOUT, sabotage("fencing")]).await;
    assert!(broken.changed_when_final > 0, "{broken:?}");
    // Only the fencing makes the difference.
    let whole = paused(&[PAYMENT_TIMEOUT]).await;
    assert!(whole.is_clean(), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_charges_idempotency_key_is_detected() {
    let env = [sabotage("idempotency")];
    let broken = run(under(Fault::ResponsesLost, sabotaged().await, &env))
        .await
        .total();
    assert!(broken.charged_twice > 0, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_reconciler_is_detected() {
    let env = [sabotage("reconciler")];
    let broken = run(under(Fault::ResponsesLost, sabotaged().await, &env))
        .await
        .total();
    assert!(broken.stuck > 0, "{broken:?}");
}

/// The gateway forgets its keys, so only the recorded intent prevents a second charge, and
/// the cancellation of an order that may have been charged.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_record_its_intents_is_detected() {
    let env = [sabotage("record_intent")];
    let broken = run(under(Fault::KeysForgotten, sabotaged().await, &env))
        .await
        .total();
    assert!(broken.charged_twice > 0, "{broken:?}");
}

/// A card that was declined can be confirmed again until its intent is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cancels_no_intent_is_detected() {
    let env = [sabotage("cancel")];
    let broken = run(under(Fault::RedisFlushed, sabotaged().await, &env))
        .await
        .total();
    assert!(broken.unsettled > 0, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_orders_do_not_wait_is_detected() {
    let env = [sabotage("waiting"), ("ORDER_MAX_ATTEMPTS", "2")];
    let broken = run(under(Fault::GatewayRejectsKey, sabotaged().await, &env))
        .await
        .total();
    assert!(!broken.gave_up.is_empty(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_every_order_is_detected() {
    let env = [sabotage("attempts")];
    let broken = run(under(Fault::RedisFlushed, sabotaged().await, &env))
        .await
        .total();
    assert!(!broken.gave_up.is_empty(), "{broken:?}");
    assert!(!broken.is_clean(), "{broken:?}");
}

async fn run(chaos: Chaos) -> Report {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let report = chaos.run(&binaries().await).await.unwrap();
    println!("{report}");
    report
}

fn sabotage(part: &'static str) -> (&'static str, &'static str) {
    ("SABOTAGE", part)
}

/// Orders under one fault, processed by this program.
fn under(fault: Fault, program: PathBuf, env: &[(&str, &str)]) -> Chaos {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Chaos {
        faults: vec![fault],
        final_timeout: Duration::from_secs(15),
        worker: Some((program, env.collect())),
        ..Chaos::full(300, 4)
    }
}
