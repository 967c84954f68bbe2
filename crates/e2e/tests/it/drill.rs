//! The alerts of deploy/prometheus in a real Prometheus beside the product under faults.

use chaos::{Doctored, Drill};

use crate::shop::binaries;

const DOCTORED: [Doctored; 3] = [
    // It never fires.
    Doctored {
        alert: "PaymentGatewayUnavailable",
        from: "== 0",
        to: "== 2",
    },
    // It fires too late.
    Doctored {
        alert: "SchemaDoesNotFit",
        from: "2m",
        to: "8m",
    },
    // It fires in normal operation.
    Doctored {
        alert: "QueueLags",
        from: "> 300",
        to: ">= 0",
    },
];

/// Two faults; a broken rule is found by what the same run shows of its copy. Every panel of the
/// dashboards has data then.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fires_its_alerts_alone_and_every_panel_has_data() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let drill = Drill {
        doctored: DOCTORED.to_vec(),
        ..Drill::short()
    };
    let report = drill.run(&binaries().await, 4).await.unwrap();
    assert!(report.passed(), "{report}");
    for (copy, problems) in report.problems_of_doctored() {
        assert!(!problems.is_empty(), "{copy:?} is not found: {report}");
    }
    assert!(report.empty_panels().is_empty(), "{report}");
}
