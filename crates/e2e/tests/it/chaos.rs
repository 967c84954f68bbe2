//! Nothing is lost or charged twice, whatever breaks; and a worker that would lose or charge twice is found out.

use chaos::{Chaos, Fault, Report, Tally};
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
    assert_eq!((total.refused, total.unanswered), (0, 0), "{report}");
}

// === the proof can fail ===

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_fencing_is_found_out() {
    let broken = sabotaged("fencing", Fault::WorkerPaused).await;
    assert!(broken.changed_when_final > 0, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_charges_idempotency_key_is_found_out() {
    let broken = sabotaged("idempotency", Fault::AnswersLost).await;
    assert!(broken.charged_twice > 0, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_reconciler_is_found_out() {
    let broken = sabotaged("reconciler", Fault::AnswersLost).await;
    assert!(broken.stuck > 0, "{broken:?}");
}

async fn run(chaos: Chaos) -> Report {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let report = chaos.run(&binaries().await).await.unwrap();
    println!("{report}");
    report
}

/// What became of the orders of a worker without `part`, under a fault that needs it.
async fn sabotaged(part: &str, fault: Fault) -> Tally {
    static BUILT: OnceCell<std::path::PathBuf> = OnceCell::const_new();
    binaries().await;
    let build = || {
        Binaries::build_extra(
            "throughline-worker-sabotaged",
            "throughline-worker/sabotage",
        )
    };
    let program = BUILT.get_or_try_init(build).await.unwrap().clone();
    let chaos = Chaos {
        faults: vec![fault],
        patience: std::time::Duration::from_secs(15),
        worker: Some((program, vec![("SABOTAGE".to_owned(), part.to_owned())])),
        ..Chaos::full(800, 4)
    };
    let report = run(chaos).await;
    assert!(!report.is_clean(), "{report}");
    report.total()
}
