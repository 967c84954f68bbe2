//! What a process uses: memory and CPU, with those of its children.

use std::collections::HashMap;
use std::fs;
use std::process::Command;
use std::time::Instant;

use testkit::process::{children, memory};

/// Of Linux, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process and its children use.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// Resident bytes; what children share with their parent is counted once.
    pub(crate) memory: u64,
    /// Of one core, 1 is all of it; `None` at the first sample.
    pub(crate) cpu: Option<f64>,
}

/// Measures processes, each time since the sample before.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    /// The CPU time of each process, in ticks, at the last sample.
    ticks: HashMap<i32, u64>,
    at: Option<Instant>,
}

impl Sampler {
    /// The usage of each of these processes; none of one that has ended.
    pub(crate) fn sample(&mut self, pids: &[i32]) -> HashMap<i32, Usage> {
        if !std::path::Path::new("/proc/self/stat").exists() {
            return pids.iter().filter_map(|pid| Some((*pid, by_ps(*pid)?))).collect();
        }
        let (now, before) = (Instant::now(), std::mem::take(&mut self.ticks));
        let elapsed = self.at.replace(now).map(|at| (now - at).as_secs_f64());
        let mut usages = HashMap::new();
        for pid in pids {
            let Some(own) = memory(*pid, "VmRSS") else {
                continue;
            };
            let children = children(*pid);
            let of_children = children.iter().filter_map(|child| memory(*child, "RssAnon"));
            let memory = own + of_children.sum::<u64>();
            let mut used = 0;
            for process in children.iter().chain([pid]) {
                let ticks = ticks(*process).unwrap_or_default();
                // A process that is new was idle before.
                used += ticks.saturating_sub(*before.get(process).unwrap_or(&ticks));
                self.ticks.insert(*process, ticks);
            }
            let used = f64::from(u32::try_from(used).unwrap_or(u32::MAX));
            let cpu = elapsed
                .filter(|elapsed| *elapsed > 0.0 && before.contains_key(pid))
                .map(|elapsed| used / TICKS_PER_SECOND / elapsed);
            usages.insert(*pid, Usage { memory, cpu });
        }
        usages
    }
}

/// The CPU time of a process: in `/proc/PID/stat`, user and system time are the 11th and 12th field after its
/// state, which follows the name in parentheses.
fn ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Where there is no /proc. The CPU is an average of the last minute.
fn by_ps(pid: i32) -> Option<Usage> {
    let output = Command::new("ps")
        .args(["-o", "rss=,pcpu=", "-p", &pid.to_string()])
        .output();
    let output = String::from_utf8(output.ok()?.stdout).ok()?;
    let mut fields = output.split_whitespace();
    let kilobytes: u64 = fields.next()?.parse().ok()?;
    let percent: f64 = fields.next()?.parse().ok()?;
    Some(Usage {
        memory: kilobytes * 1024,
        cpu: Some(percent / 100.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_one_that_does_not_exist_has_no_usage() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut sampler = Sampler::default();
        let first = sampler.sample(&[own, i32::MAX]);
        assert!(
            first[&own].memory > 1 << 20 && !first.contains_key(&i32::MAX),
            "{first:?}"
        );
        let started = Instant::now();
        while ticks(own).is_some_and(|ticks| ticks < sampler.ticks[&own] + 5) {
            assert!(started.elapsed().as_secs() < 60);
        }
        assert!(sampler.sample(&[own])[&own].cpu.unwrap() > 0.0);
    }

    #[test]
    fn ps_knows_the_same() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(by_ps(own).unwrap().memory > 1 << 20);
        assert_eq!(by_ps(i32::MAX), None);
    }
}
