//! Processes as a person treats them, and as they end by themselves.

use reqwest::StatusCode;
use testkit::eventually;

use crate::visitor::{TIMEOUT, Visitor};

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_person_kills_stops_or_pauses_is_shown_and_runs_again() {
    let visitor = Visitor::enters().await;
    let worker = visitor
        .waits_for("a measurement", || async {
            let worker = visitor.process("worker-1").await;
            (worker["memory_bytes"].as_u64()? > 1 << 20 && worker["cpu"].is_number()).then_some(worker)
        })
        .await;
    for (part, version) in [
        ("api", env!("CARGO_PKG_VERSION")),
        ("postgresql", "1"),
        ("redis", ""),
    ] {
        visitor
            .waits_for("a version", || async {
                visitor.process(part).await["version"]
                    .as_str()?
                    .starts_with(version)
                    .then_some(())
            })
            .await;
    }
    let ended = tokio::spawn({
        let system = visitor.system.clone();
        async move { system.part_ended().await }
    });

    visitor
        .does("process", &[("part", "worker-1"), ("act", "kill")])
        .await;
    let killed = visitor.waits_for_state("worker-1", "killed").await;
    assert!(killed["pid"].is_null(), "{killed}");
    let again = visitor
        .posts("process", &[("part", "worker-1"), ("act", "pause")])
        .await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(again.text().await.unwrap(), "worker 1 does not run");
    visitor
        .does("process", &[("part", "worker-1"), ("act", "start")])
        .await;
    let started = visitor.waits_for_state("worker-1", "running").await;
    assert!(
        started["restarts"] == 1 && started["pid"] != worker["pid"],
        "{started}"
    );

    for part in ["api", "postgresql", "redis"] {
        visitor.does("process", &[("part", part), ("act", "pause")]).await;
        let paused = visitor.process(part).await;
        let is_frozen = || is_frozen(&paused["pid"]);
        eventually("a frozen process", TIMEOUT, || {
            std::future::ready(is_frozen().then_some(()))
        })
        .await;
        visitor
            .does("process", &[("part", part), ("act", "continue")])
            .await;
        assert!(!is_frozen(), "{part}");
    }
    visitor
        .does("process", &[("part", "gateway"), ("act", "stop")])
        .await;
    visitor.waits_for_state("gateway", "stopped").await;

    // What ends while a person experiments is shown, and `up` goes on.
    let lens = visitor.process("lens").await;
    terminate(&lens["pid"]);
    let lens = visitor.waits_for_state("lens", "ended").await;
    assert!(
        lens["note"]
            .as_str()
            .unwrap()
            .starts_with("throughline-lens ended"),
        "{lens}"
    );
    assert!(!ended.is_finished());
    let page = visitor.gets("/?of=worker-1").await.text().await.unwrap();
    assert!(
        page.contains("worker 1 killed") && !page.contains("gateway stopped"),
        "{page}"
    );
    visitor.system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_by_itself_ends_the_stack() {
    let visitor = Visitor::enters().await;
    terminate(&visitor.process("gateway").await["pid"]);
    let how = visitor.system.part_ended().await.unwrap();
    assert!(how.starts_with("throughline-gateway ended"), "{how}");
}

fn pid(pid: &serde_json::Value) -> rustix::process::Pid {
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    rustix::process::Pid::from_raw(pid).unwrap()
}

fn terminate(of: &serde_json::Value) {
    rustix::process::kill_process(pid(of), rustix::process::Signal::TERM).unwrap();
}

fn is_frozen(of: &serde_json::Value) -> bool {
    let pid = pid(of).as_raw_nonzero();
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        panic!("{pid} has ended");
    };
    stat.contains(") T ")
}
