//! CPU time and memory of a process, and the machine that is measured on.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, getrlimit};

use crate::size::Size;

/// CPU time of all running threads of the process.
pub(crate) fn cpu_time(pid: i32) -> anyhow::Result<Duration> {
    // The scheduler counts nanoseconds; /proc/<pid>/stat has a resolution of 10 ms.
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let spent = text.split(' ').next().context("an empty schedstat")?;
        total += spent.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// Memory in MB (10^6 bytes).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

pub(crate) fn memory(pid: i32) -> anyhow::Result<Memory> {
    let read = |field| -> anyhow::Result<f64> {
        let bytes = testkit::process::memory(pid, field).context("the process has ended")?;
        Ok(f64::from(u32::try_from(bytes / 1024)?) * 1024.0 / 1e6)
    };
    Ok(Memory {
        now: read("VmRSS")?,
        peak: read("VmHWM")?,
    })
}

/// How many connections the limit of open files permits, beside other files.
pub(crate) fn max_connections() -> usize {
    const OTHER_FILES: u64 = 500;
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX)
}

/// The machine and the run's size, as printed above the figures.
pub(crate) fn conditions(size: Size, fsync: bool) -> String {
    let fsync = if fsync { "with" } else { "without" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    format!(
        "{cores} cores ({model}), Linux {}; {} rounds of {} s; PostgreSQL {fsync} fsync, Redis without;\n\
         load, services, servers and the OTLP receiver all on these cores",
        kernel.trim(),
        size.rounds,
        size.measure.as_secs(),
    )
}
