//! Nothing is lost or charged twice, whatever breaks; and a worker that would lose or charge twice is found out.

use std::path::PathBuf;
use std::time::Duration;

use chaos::{Chaos, Fault, Report};
use testkit::Binaries;
use tokio::sync::OnceCell;

use crate::shop::binaries;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_charged_twice_under_faults() {
    let report = run(Chaos::short(4)).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.total().accepted > 500, "{report}");
}

/// Clients come through a front that sends requests to replicas that are ready, and to another one where a connection is refused.
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

// === the proof can fail ===

/// Payments take long, so that many are under way when a worker is paused; and their time-out is longer than the pause, or the
/// answers that wait for the worker when it goes on would come too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_fencing_is_found_out() {
    const PATIENT: (&str, &str) = ("PAYMENT_TIMEOUT", "60s");
    let paused = async |env: &[(&str, &str)]| {
        let chaos = Chaos {
            gateway_latency: Duration::from_secs(2),
            ..under(Fault::WorkerPaused, sabotaged().await, env)
        };
        run(chaos).await.total()
    };
    let broken = paused(&[PATIENT, sabotage("fencing")]).await;
    assert!(broken.changed_when_final > 0, "{broken:?}");
    // It is the fencing that makes the difference.
    let whole = paused(&[PATIENT]).await;
    assert!(whole.is_clean(), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_charges_idempotency_key_is_found_out() {
    let env = [sabotage("idempotency")];
    let broken = run(under(Fault::ResponsesLost, sabotaged().await, &env))
        .await
        .total();
    assert!(broken.charged_twice > 0, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_reconciler_is_found_out() {
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

/// A worker that leaves out what SABOTAGE says.
async fn sabotaged() -> PathBuf {
    const FEATURE: &str = "throughline-worker/sabotage";
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    binaries().await;
    let build = || Binaries::build_extra("throughline-worker-sabotaged", FEATURE);
    BUILT.get_or_try_init(build).await.unwrap().clone()
}

/// Orders of this worker, under one fault.
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
