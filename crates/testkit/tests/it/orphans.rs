//! Servers end with the process that started them, and run for an ordinary user as they do for root.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use testkit::{Postgres, Redis, Signal, eventually};

#[tokio::test]
async fn servers_stop_with_a_parent_that_was_killed_and_leave_no_files() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .hold()
        .spawn()
        .unwrap();
    let held = Held::read(&mut parent);
    assert!(held.pids.iter().all(|pid| is_running(*pid)));

    parent.kill().unwrap();
    parent.wait().unwrap();
    held.assert_ended().await;
}

#[tokio::test]
async fn servers_start_for_an_ordinary_user() {
    // Only root can install missing programs.
    Postgres::find_program().unwrap();
    Redis::find_program().unwrap();
    // The user without privileges that Unix systems have by convention.
    let unprivileged = 65534;
    let mut command = Command::new(std::env::current_exe().unwrap());
    // Only root can change the user; without root, the test above covers this. The user may not reach the
    // target folder.
    let copy = std::env::temp_dir().join(format!("throughline-testkit-{}", std::process::id()));
    if rustix::process::geteuid().is_root() {
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
        command = Command::new(&copy);
        command.uid(unprivileged).gid(unprivileged).current_dir("/");
    }
    let mut parent = command.hold().spawn().unwrap();
    let _ = std::fs::remove_file(copy);
    let held = Held::read(&mut parent);

    // The process ends by itself when its input ends.
    drop(parent.stdin.take());
    assert!(parent.wait().unwrap().success());
    held.assert_ended().await;
}

/// Starts both servers, prints their process ids, freezes them, and waits for the end of its input.
#[tokio::test]
#[ignore = "the other tests of this file run it, in a separate process"]
async fn hold() {
    let (postgres, redis) = (Postgres::start().await.unwrap(), Redis::start().await.unwrap());
    let data = postgres.folder().display();
    println!(
        "\nheld {} {} {data}",
        postgres.pid().unwrap(),
        redis.pid().unwrap()
    );
    // Also frozen, they end.
    postgres.signal(Signal::STOP).unwrap();
    redis.signal(Signal::STOP).unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

trait Hold {
    fn hold(&mut self) -> &mut Self;
}

impl Hold for Command {
    fn hold(&mut self) -> &mut Self {
        self.args(["--exact", "orphans::hold", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
    }
}

struct Held {
    pids: Vec<i32>,
    folder: String,
    /// Stays open: the process prints more at its end.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Held {
    fn read(parent: &mut Child) -> Self {
        let mut output = BufReader::new(parent.stdout.take().unwrap()).lines();
        let line = output
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.starts_with("held "));
        let line = line.expect("the servers did not start");
        let words: Vec<&str> = line.split(' ').collect();
        let pids = words[1..3].iter().map(|pid| pid.parse().unwrap()).collect();
        Self {
            pids,
            folder: words[3].to_owned(),
            _output: output,
        }
    }

    async fn assert_ended(&self) {
        eventually(
            "the servers to end and their data to be deleted",
            Duration::from_secs(60),
            || async {
                let ended =
                    !self.pids.iter().any(|pid| is_running(*pid)) && !Path::new(&self.folder).exists();
                ended.then_some(())
            },
        )
        .await;
    }
}

pub(crate) fn is_running(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
