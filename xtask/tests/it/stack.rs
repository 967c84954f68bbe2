use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::xtask::Xtask;

#[test]
fn a_stack_comes_up_takes_an_order_shows_its_trace_and_goes_down() {
    let xtask = Xtask::new("whole");
    let output = xtask.run("up --detach --free-ports").succeeds();
    let state = xtask.state();
    let api = state["api"].as_str().unwrap();
    assert!(
        output.contains(&format!("curl -X POST {api}/api/orders")),
        "{output}"
    );
    let pids = pids(&state);
    assert_eq!(pids.len(), 8, "{state}");
    let system = state["system"].as_str().unwrap();
    assert!(output.contains(system), "{output}");
    let page = system.split_once("?token=").unwrap().0;
    assert_eq!((status(system), status(page)), (303, 401));

    let order = xtask
        .run("order --amount 1500 --payment credit_card --watch")
        .succeeds();
    let order: Value = serde_json::from_str(&order).unwrap();
    assert_eq!(
        (&order["status"], &order["payment_status"]),
        (&"completed".into(), &"charged".into())
    );

    let waterfall = xtask
        .run(&format!("trace {}", order["id"].as_str().unwrap()))
        .succeeds();
    for expected in [
        "POST /api/orders",
        "throughline-api",
        "throughline-worker",
        "throughline-gateway",
    ] {
        assert!(waterfall.contains(expected), "{waterfall}");
    }
    let by_trace_id = xtask.run(&format!("trace {}", order["trace_id"].as_str().unwrap()));
    assert_eq!(by_trace_id.succeeds(), waterfall);

    assert!(xtask.run("up --detach").succeeds().starts_with("Already up"));
    xtask.run("migrate").succeeds();

    xtask.run("down").succeeds();
    assert_eq!(
        pids.into_iter()
            .filter(|pid| is_running(*pid))
            .collect::<Vec<_>>(),
        [0_i64; 0]
    );

    xtask.run("up --detach --free-ports").succeeds();
    let output = xtask.run("order --watch").succeeds();
    assert!(
        output.contains("completed"),
        "a second stack on the same data: {output}"
    );
    xtask.run("down --clean").succeeds();
    assert!(!xtask.folder().exists());
}

#[test]
fn a_declined_card_makes_order_fail() {
    let xtask = Xtask::new("declined");
    xtask.run("up --detach --free-ports").succeeds();
    let ran = xtask
        .command("order --payment credit_card --payment-token pm_card_chargeDeclined --watch")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let order: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(order["failure"]["code"], "card_declined");
    let transitions = String::from_utf8(ran.stderr).unwrap();
    let lines: Vec<&str> = transitions.lines().collect();
    let [created, claimed, failed] = lines.as_slice() else {
        panic!("{transitions}");
    };
    assert!(created.ends_with("customer:anonymous"), "{created}");
    assert!(
        claimed.contains(" processing  attempt 1   worker:throughline-worker-"),
        "{claimed}"
    );
    assert!(
        failed.contains(" failed ") && failed.ends_with("  card_declined"),
        "{failed}"
    );
}

#[test]
fn down_stops_a_stack_whose_supervisor_was_killed() {
    let xtask = Xtask::new("killed");
    xtask.run("up --detach --free-ports").succeeds();
    let state = xtask.state();
    let supervisor =
        rustix::process::Pid::from_raw(i32::try_from(state["supervisor"]["pid"].as_i64().unwrap()).unwrap());
    rustix::process::kill_process(supervisor.unwrap(), rustix::process::Signal::KILL).unwrap();

    xtask.run("down").succeeds();
    assert_eq!(
        pids(&state)
            .into_iter()
            .filter(|pid| is_running(*pid))
            .collect::<Vec<_>>(),
        [0_i64; 0]
    );
}

#[test]
fn down_without_a_stack_prints_that_and_succeeds() {
    assert_eq!(Xtask::new("nothing").run("down").succeeds(), "Nothing is up.\n");
}

/// The status of the response to a GET.
fn status(url: &str) -> u16 {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The process ids of the supervisor and all other processes.
fn pids(state: &Value) -> Vec<i64> {
    let processes = state["processes"].as_array().unwrap().iter();
    processes
        .chain([&state["supervisor"]])
        .map(|process| process["pid"].as_i64().unwrap())
        .collect()
}

/// A zombie has ended, but its parent has not yet read its status.
fn is_running(pid: i64) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.contains(") Z "),
        Err(_) => !Path::new("/proc/self").exists() && is_in_ps(pid),
    }
}

fn is_in_ps(pid: i64) -> bool {
    let ps = std::process::Command::new("ps")
        .args(["-p", &pid.to_string()])
        .output();
    ps.unwrap().status.success()
}
