//! Nothing is lost or charged twice under faults; and a worker that loses orders or charges twice is
//! detected.

use std::path::PathBuf;
use std::time::Duration;

use chaos::{Chaos, Fault, Report};
use testkit::Binaries;
use tokio::sync::OnceCell;

use crate::shop::{TIMEOUT, binaries};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_charged_twice_under_faults() {
    let report = run(Chaos::short(4)).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.total().accepted > 500, "{report}");
}

/// Clients use a load balancer that sends requests to ready replicas, and to another one if a connection is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_rolling_restarts_under_load_fail_no_request_and_lose_no_order() {
    let faults = vec![Fault::RollingRestarts];
    let chaos = Chaos {
        faults,
        ..Chaos::full(1000, 4)
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

async fn run(chaos: Chaos) -> Report {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let report = chaos.run(&binaries().await).await.unwrap();
    println!("{report}");
    report
}

fn sabotage(part: &'static str) -> (&'static str, &'static str) {
    ("SABOTAGE", part)
}

/// A worker without the part that SABOTAGE names.
async fn sabotaged() -> PathBuf {
    const FEATURE: &str = "throughline-worker/sabotage";
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    binaries().await;
    let build = || Binaries::build_extra("throughline-worker-sabotaged", FEATURE);
    BUILT.get_or_try_init(build).await.unwrap().clone()
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
        ..Chaos::full(600, 4)
    }
}
