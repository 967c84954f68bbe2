//! Metrics of the process and of its tokio runtimes, read at every export. On Linux the process's come from
//! `/proc`; elsewhere only tokio's exist. [`Builder::process_metrics`](crate::Builder::process_metrics) adds
//! them.

mod runtimes;

use std::fs;

use opentelemetry::KeyValue;
use tokio::runtime::RuntimeMetrics;

use crate::names;
use crate::scope::meter;

pub(crate) use runtimes::add_of_thread;

/// The kernel's unit of CPU time in `/proc`, per second: USER_HZ, which is 100 on all machines of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the instruments with the installed meter provider.
pub(crate) fn register() {
    runtimes::add_current();
    tokio();
    if cfg!(target_os = "linux") {
        process();
    }
}

fn tokio() {
    let add = |name, unit, description, read: fn(&RuntimeMetrics) -> usize| {
        up_down(name, unit, description, move || {
            i64::try_from(runtimes::sum(read)).ok()
        });
    };
    add(
        "tokio.workers",
        "{thread}",
        "Worker threads of the runtimes.",
        RuntimeMetrics::num_workers,
    );
    add(
        "tokio.tasks",
        "{task}",
        "Tasks that have not ended.",
        RuntimeMetrics::num_alive_tasks,
    );
    add(
        "tokio.queue.depth",
        "{task}",
        "Tasks that wait in the runtimes' shared queues.",
        RuntimeMetrics::global_queue_depth,
    );
}

fn process() {
    meter()
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("Total CPU seconds broken down by different states.")
        .with_callback(|counter| {
            let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
            for (mode, seconds) in cpu_time(&stat) {
                counter.observe(seconds, &[KeyValue::new(names::CPU_MODE, mode)]);
            }
        })
        .build();
    up_down(
        "process.memory.usage",
        "By",
        "The amount of physical memory in use.",
        || Some(status("VmRSS:")? * 1024),
    );
    up_down(
        "process.thread.count",
        "{thread}",
        "Process threads count.",
        || status("Threads:"),
    );
    up_down(
        "process.open_file_descriptor.count",
        "{file_descriptor}",
        "Number of file descriptors in use by the process.",
        || i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok(),
    );
}

fn up_down(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    read: impl Fn() -> Option<i64> + Send + Sync + 'static,
) {
    meter()
        .i64_observable_up_down_counter(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |counter| {
            if let Some(value) = read() {
                counter.observe(value, &[]);
            }
        })
        .build();
}

/// Seconds in user and system mode, from the fields after the name, which may contain anything but `)`.
fn cpu_time(stat: &str) -> Vec<(&'static str, f64)> {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let times = fields.skip(11).filter_map(|ticks| ticks.parse::<f64>().ok());
    ["user", "system"]
        .into_iter()
        .zip(times.map(|ticks| ticks / TICKS_PER_SECOND))
        .collect()
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_any_name_of_the_process() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 3 4 20 0 9 0 100";
        assert_eq!(cpu_time(stat), [("user", 2.5), ("system", 0.5)]);
        assert!(cpu_time("").is_empty());
    }
}
