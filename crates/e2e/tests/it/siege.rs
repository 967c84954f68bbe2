//! An ordinary client is served while an api is attacked, and the api's memory is bounded. Latencies are for
//! `cargo xtask siege`: a test asserts none.

use std::time::Duration;

use chaos::Siege;

use crate::shop::binaries;

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_client_is_served_while_the_api_is_attacked() {
    let siege = Siege {
        lasts: Duration::from_secs(20),
    };
    let report = siege.run(&binaries().await).await.unwrap();
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    assert!(report.attacks.iter().all(|(_, sent)| *sent > 0), "{report}");
    assert!(report.latencies.len() > 20, "{report}");
}
