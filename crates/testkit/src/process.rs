//! Processes as the system reports them.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The children of a process; none where the system has no such list.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = list.split_whitespace();
    pids.filter_map(|pid| pid.parse().ok()).collect()
}

/// A field of `/proc/PID/status` in bytes: `VmRSS` is the resident memory, `VmHWM` its peak. `None` if the
/// process has ended, or the system has no /proc.
#[must_use]
pub fn memory(pid: i32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = |line: &str| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned);
    let kibibytes: u64 = status
        .lines()
        .find_map(value)?
        .trim()
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    Some(kibibytes * 1024)
}

/// Raises this process's limit of open files to the maximum, for many connections. Children inherit it.
///
/// # Errors
/// When the system refuses it.
pub fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}
