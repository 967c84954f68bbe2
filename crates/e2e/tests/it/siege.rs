//! Other clients are served while an api is under attack.

use std::time::Duration;

use chaos::{Attack, Siege};

use crate::shop::binaries;

/// Programs that are not optimized share the machine with other tests, so a few requests may be refused with
/// 503. `cargo xtask siege --release` refuses none.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_under_attack_serves_others_within_its_memory() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let siege = Siege {
        lasts: Duration::from_secs(10),
        attacks: Attack::ALL.to_vec(),
    };
    let report = siege.run(&binaries().await).await.unwrap();
    assert!(report.is_bounded(), "{report}");
    assert!(report.latencies.len() > 10 * report.failures.len(), "{report}");
}
