//! The processes: their state, and what can be done to each.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::member::{State, Status};
use crate::part::Part;
use crate::web::shared::Shared;

/// The processes.
#[derive(Template)]
#[template(path = "processes.html")]
pub(in crate::web) struct ProcessesView<'a> {
    csrf: &'a str,
    pub(in crate::web) rows: Vec<Row>,
}

/// One of them.
#[derive(Debug)]
pub(in crate::web) struct Row {
    name: String,
    slug: String,
    state: State,
    version: Option<String>,
    pid: Option<i32>,
    memory: Option<u64>,
    cpu: Option<f64>,
    since: Duration,
    restarts: u32,
    /// What is wrong with it at this moment.
    note: String,
}

impl<'a> ProcessesView<'a> {
    pub(in crate::web) fn of(shared: &'a Shared) -> Self {
        let faults = shared.parts.faults.active();
        let of = |(part, status)| Row::of(part, status, &faults, shared);
        Self {
            csrf: &shared.keys.csrf,
            rows: shared.parts.system.statuses().into_iter().map(of).collect(),
        }
    }

    fn summary(&self) -> String {
        let running = self.rows.iter().filter(|row| row.state == State::Running);
        let mut counts = BTreeMap::<&str, usize>::new();
        for row in self.rows.iter().filter(|row| row.state != State::Running) {
            *counts.entry(row.word()).or_default() += 1;
        }
        let others = counts.iter().map(|(word, count)| format!(", {count} {word}"));
        format!("{} running{}", running.count(), others.collect::<String>())
    }
}

impl Row {
    fn of(part: Part, status: Status, faults: &[(Fault, Duration)], shared: &Shared) -> Self {
        let usage = status.pid.and_then(|pid| shared.usage(pid));
        let since = status.since.elapsed();
        let ago = || ui::duration(Duration::from_secs(since.as_secs()));
        let note = match &status.state {
            State::Running | State::Starting | State::Stopping => {
                let active = faults.iter().filter(|(fault, _)| fault.part() == part);
                let does: Vec<_> = active
                    .map(|(fault, left)| match left.as_secs() {
                        0 => fault.does().to_owned(),
                        left => format!("{}, for {left} s more", fault.does()),
                    })
                    .collect();
                does.join("; ")
            }
            State::Paused => format!("paused by you {} ago (SIGSTOP)", ago()),
            State::Stopped => format!("stopped by you {} ago", ago()),
            State::Killed => format!("killed by you {} ago (SIGKILL)", ago()),
            State::Ended(how) => how.lines().next().unwrap_or_default().to_owned(),
        };
        Self {
            name: part.to_string(),
            slug: part.slug(),
            version: shared.version(part),
            pid: status.pid,
            memory: usage.map(|usage| usage.memory),
            cpu: usage.and_then(|usage| usage.cpu),
            since,
            restarts: status.restarts,
            note,
            state: status.state,
        }
    }

    fn word(&self) -> &'static str {
        match self.state {
            State::Starting => "starting",
            State::Running => "running",
            State::Paused => "paused",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Killed => "killed",
            State::Ended(_) => "ended",
        }
    }

    fn class(&self) -> &'static str {
        match self.state {
            State::Running if self.note.is_empty() => "",
            State::Running | State::Starting | State::Stopping | State::Paused => "warn",
            State::Stopped => "off",
            State::Killed | State::Ended(_) => "bad",
        }
    }

    fn memory(&self) -> String {
        let megabytes = self.memory.map(|bytes| ui::grouped(bytes >> 20));
        megabytes.map_or_else(|| "–".to_owned(), |megabytes| format!("{megabytes} MiB"))
    }

    fn cpu(&self) -> String {
        self.cpu
            .map_or_else(|| "–".to_owned(), |cpu| format!("{:.0} %", cpu * 100.0))
    }

    fn up(&self) -> String {
        match self.state {
            State::Running => ui::duration(Duration::from_secs(self.since.as_secs())),
            _ => "–".to_owned(),
        }
    }

    /// Its version, its process, and how often it was started again.
    fn details(&self) -> String {
        let restarts = match self.restarts {
            0 => None,
            1 => Some("1 restart".to_owned()),
            restarts => Some(format!("{restarts} restarts")),
        };
        let pid = self.pid.map(|pid| format!("pid {pid}"));
        let known = [self.version.clone(), pid, restarts].into_iter().flatten();
        known.collect::<Vec<_>>().join(" · ")
    }

    /// The buttons: what they do, their label and their class.
    fn actions(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self.state {
            State::Running => &[
                ("pause", "Pause", ""),
                ("stop", "Stop", ""),
                ("kill", "Kill", "danger"),
            ],
            State::Paused => &[
                ("continue", "Continue", ""),
                ("stop", "Stop", ""),
                ("kill", "Kill", "danger"),
            ],
            State::Stopped | State::Killed | State::Ended(_) => &[("start", "Start", "")],
            State::Starting | State::Stopping => &[],
        }
    }

    pub(in crate::web) fn json(&self) -> Value {
        json!({
            "name": self.slug,
            "state": self.word(),
            "pid": self.pid,
            "version": self.version,
            "memory_bytes": self.memory,
            "cpu": self.cpu,
            "restarts": self.restarts,
            "note": self.note,
        })
    }
}
