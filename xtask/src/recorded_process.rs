//! A process that is recorded in a file, by its id and start time, so that a recycled id is never confused
//! with it.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RecordedProcess {
    pub(crate) name: String,
    pub(crate) pid: i32,
    /// In the format of the system; it can only be compared.
    started: String,
}

impl RecordedProcess {
    /// The running process with this id; `None` if it does not exist.
    pub(crate) fn running(name: &str, pid: i32) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            pid,
            started: started(pid)?,
        })
    }

    pub(crate) fn is_running(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }

    /// Sends a signal if it still runs.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        if let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid)) {
            match kill_process(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => anyhow::bail!("cannot signal {} (process {}): {error}", self.name, self.pid),
            }
        }
        Ok(())
    }

    /// Waits until it has ended; returns `false` after `timeout`.
    pub(crate) async fn ends_within(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() >= end {
                return false;
            }
            sleep(Duration::from_millis(20)).await;
        }
        true
    }
}

/// When a process started; `None` if it does not exist or is a zombie.
fn started(pid: i32) -> Option<String> {
    if let Ok(stat) = std::fs::read_to_string("/proc/self/stat") {
        // Checks that /proc has the format of Linux.
        start_in_stat(&stat)?;
        return start_in_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let output = Command::new("ps")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let line = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!line.is_empty() && !line.starts_with('Z')).then_some(line.split_once(' ')?.1.trim().to_owned())
}

/// `pid (name) state ...`: the start is the 20th field after the state's; the name may contain anything,
/// parentheses too.
fn start_in_stat(stat: &str) -> Option<String> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    (state != "Z").then(|| start.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "42 (a) S (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(start_in_stat(stat).as_deref(), Some("4711"));
        assert_eq!(start_in_stat(&stat.replace(")) S", ")) Z")), None);
    }

    #[test]
    fn a_recycled_id_is_another_process() {
        let own = RecordedProcess::running("own", i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(own.is_running());
        let earlier = RecordedProcess {
            started: "1".to_owned(),
            ..own
        };
        assert!(!earlier.is_running());
        assert!(earlier.signal(Signal::KILL).is_ok());
    }
}
