//! The program: one line and exit code 1 for a bad configuration, exit code 0 after a signal.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) fn program(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline-gateway"));
    command
        .env_clear()
        .env("OTEL_SDK_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Reads the program's log until the line with its address.
pub(crate) fn listens_at(output: &mut impl BufRead) -> String {
    let mut lines = output.lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("the payment sandbox listens"));
    let line = line.expect("the program logs its address");
    line.split_once("listens on ").unwrap().1.to_owned()
}

fn one_line(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_bad_value_stops_it_with_one_line() {
    for (name, value) in [
        ("PORT", "http"),
        ("SANDBOX_KEY_TTL", "0"),
        ("SHUTDOWN_TIMEOUT", "soon"),
    ] {
        let line = one_line(&program(&[(name, value)]).output().unwrap());
        assert!(line.contains(&format!("{name}: got `{value}`; takes ")), "{line}");
    }
}

#[test]
fn a_port_in_use_stops_it_with_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = one_line(&program(&[("PORT", &port)]).output().unwrap());
    assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
}

#[test]
fn a_signal_stops_it_with_exit_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = program(&[("PORT", "0")]).spawn().unwrap();
        let address = listens_at(&mut BufReader::new(child.stdout.take().unwrap()));
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
