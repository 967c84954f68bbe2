//! What the templates show.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use ui::{Chart, Colour, Label, Mark, Moment, Series};

use super::shared::Shared;
use crate::audit::{Known, STUCK_AFTER};
use crate::faults::Fault;
use crate::load::Load;
use crate::part::Part;
use crate::system::{State, Status};
use crate::walk::{Event, Killed, Stage};

/// Lines of output on a page.
const OUTPUT_LINES: usize = 60;
/// What the chart shows: slots of some seconds.
const SLOTS: i32 = 100;
const SLOT_SECONDS: i32 = 3;
/// A gap of the samples: the audit pauses for less.
const MAX_GAP_SECONDS: i64 = 12;

/// The counts of the orders.
#[derive(Template)]
#[template(path = "numbers.html")]
pub(super) struct NumbersView {
    known: Known,
    stuck_after: String,
}

impl NumbersView {
    pub(super) fn of(shared: &Shared) -> Self {
        Self {
            known: shared.parts.audit.known(),
            stuck_after: ui::duration(STUCK_AFTER),
        }
    }

    fn accepted(&self) -> String {
        ui::grouped(self.known.numbers.accepted)
    }

    fn finals(&self) -> String {
        ui::grouped(self.known.numbers.finals)
    }

    fn on_their_way(&self) -> String {
        let numbers = &self.known.numbers;
        ui::grouped(numbers.accepted.saturating_sub(numbers.finals + numbers.lost))
    }

    /// The promises: a name, what it counts, and a number that has to be 0.
    fn promises(&self) -> [Promise; 4] {
        let numbers = &self.known.numbers;
        let stuck = format!("not final after {}", self.stuck_after);
        [
            ("Lost", "accepted, and not in PostgreSQL".to_owned(), numbers.lost),
            (
                "Charged twice",
                "by the gateway’s ledger".to_owned(),
                numbers.charged_twice,
            ),
            (
                "Unsettled",
                "final without a settled payment".to_owned(),
                numbers.unsettled,
            ),
            ("Stuck", stuck, numbers.stuck),
        ]
        .map(|(name, what, number)| Promise {
            name,
            what,
            number: ui::grouped(number),
            class: if number == 0 { "ok-text" } else { "bad-text" },
        })
    }
}

struct Promise {
    name: &'static str,
    what: String,
    number: String,
    class: &'static str,
}

/// The processes.
#[derive(Template)]
#[template(path = "processes.html")]
pub(super) struct ProcessesView<'a> {
    csrf: &'a str,
    pub(super) rows: Vec<Row>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Row {
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
    pub(super) fn of(shared: &'a Shared) -> Self {
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

    fn version(&self) -> &str {
        self.version.as_deref().unwrap_or("–")
    }

    fn pid(&self) -> String {
        self.pid.map_or_else(|| "–".to_owned(), |pid| pid.to_string())
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

    pub(super) fn json(&self) -> Value {
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

/// The faults that can be injected.
#[derive(Template)]
#[template(path = "faults.html")]
pub(super) struct FaultsView<'a> {
    csrf: &'a str,
    groups: Vec<(Part, Vec<FaultView>)>,
}

struct FaultView {
    fault: Fault,
    is_active: bool,
}

impl<'a> FaultsView<'a> {
    pub(super) fn of(shared: &'a Shared) -> Self {
        let active = shared.parts.faults.active();
        let parts = [Part::Gateway, Part::Redis, Part::PostgreSql].into_iter();
        let groups = parts.filter(|part| shared.parts.system.has(*part)).map(|part| {
            let faults = Fault::all().filter(|fault| fault.part() == part);
            let views = faults.map(|fault| FaultView {
                fault,
                is_active: active.iter().any(|(other, _)| *other == fault),
            });
            (part, views.collect())
        });
        Self {
            csrf: &shared.keys.csrf,
            groups: groups.collect(),
        }
    }
}

/// What became of the load.
#[derive(Template)]
#[template(path = "load.html")]
pub(super) struct LoadView {
    rate: u32,
    accepted: String,
    /// What did not work.
    others: String,
}

impl LoadView {
    pub(super) fn of(load: &Load) -> Self {
        let counts = load.counts();
        let others = [
            (counts.refused, "refused"),
            (counts.unknown, "without a response"),
            (counts.left_out, "left out"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others = others.map(|(count, what)| format!(", {} {what}", ui::grouped(count)));
        Self {
            rate: load.rate(),
            accepted: ui::grouped(counts.accepted),
            others: others.collect(),
        }
    }
}

/// The chart.
#[derive(Template)]
#[template(path = "rates.html")]
pub(super) struct Rates {
    chart: Option<String>,
}

impl Rates {
    pub(super) fn of(shared: &Shared) -> Self {
        let known = shared.parts.audit.known();
        let length = TimeDelta::seconds(i64::from(SLOTS * SLOT_SECONDS));
        // Slots begin at multiples of their length: the chart moves by whole ones.
        let slot = i64::from(SLOT_SECONDS);
        let end = DateTime::from_timestamp(Utc::now().timestamp() / slot * slot, 0).unwrap_or_default();
        let start = end - length;
        let (accepted, finals) = rates(&known, start);
        let at = |time: DateTime<Utc>| {
            let millis = |delta: TimeDelta| i32::try_from(delta.num_milliseconds()).unwrap_or(i32::MAX);
            f64::from(millis(time - start)) / f64::from(millis(length))
        };
        let events = shared.parts.system.journal.events_since(start);
        let marks = events.into_iter().filter(|event| event.part.is_some());
        let last = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied().unwrap_or_default();
        let chart = Chart {
            description: format!(
                "Orders per second in the last 5 minutes: {} accepted and {} final at the end",
                ui::decimal(last(&accepted)),
                ui::decimal(last(&finals))
            ),
            series: vec![
                Series {
                    values: &accepted,
                    colour: Colour::First,
                    filled: true,
                },
                Series {
                    values: &finals,
                    colour: Colour::Third,
                    filled: false,
                },
            ],
            labels: [0.0, 0.5, 1.0].map(|at| label(at, start, length)).into(),
            marks: marks
                .map(|event| Mark {
                    at: at(event.at),
                    text: event.text,
                })
                .collect(),
            least_top: 10.0,
            unit: ui::decimal,
        };
        let is_empty = accepted.iter().all(Option::is_none);
        Self {
            chart: (!is_empty).then(|| chart.to_string()),
        }
    }
}

fn label(at: f64, start: DateTime<Utc>, length: TimeDelta) -> Label {
    if at >= 1.0 {
        return Label {
            at,
            text: "now".to_owned(),
            time: None,
        };
    }
    let time = if at > 0.0 { start + length / 2 } else { start };
    Label {
        at,
        text: time.format("%H:%M").to_string(),
        time: Some(time.to_rfc3339()),
    }
}

/// Orders per second that were accepted and became final, in each slot from `start`.
fn rates(known: &Known, start: DateTime<Utc>) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let total_at = |at: DateTime<Utc>| {
        let before = known.samples.iter().rev().find(|(time, ..)| *time <= at);
        before.filter(|(time, ..)| at - *time < TimeDelta::seconds(MAX_GAP_SECONDS))
    };
    let slots = (0..SLOTS).map(|slot| {
        let from = start + TimeDelta::seconds(i64::from(slot * SLOT_SECONDS));
        let (_, accepted, finals) = total_at(from)?;
        let (_, accepted_later, finals_later) = total_at(from + TimeDelta::seconds(SLOT_SECONDS.into()))?;
        let rate = |from: &u64, to: &u64| {
            let count = u32::try_from(to.saturating_sub(*from)).unwrap_or(u32::MAX);
            f64::from(count) / f64::from(SLOT_SECONDS)
        };
        Some((rate(accepted, accepted_later), rate(finals, finals_later)))
    });
    slots.map(Option::unzip).unzip()
}

/// The output of the parts.
#[derive(Template)]
#[template(path = "output.html")]
pub(super) struct OutputView<'a> {
    lens: &'a str,
    of: Option<Part>,
    parts: Vec<Part>,
    lines: Vec<LineView>,
}

struct LineView {
    at: Moment,
    part: String,
    text: String,
    class: &'static str,
    /// The trace that the line names.
    trace_id: Option<String>,
}

impl<'a> OutputView<'a> {
    pub(super) fn of(shared: &'a Shared, of: Option<Part>) -> Self {
        let lines = shared.parts.system.journal.last(of, OUTPUT_LINES);
        let view = |line: crate::journal::Line| LineView {
            at: Moment::precise(line.at),
            part: line.part.map(|part| part.to_string()).unwrap_or_default(),
            class: class(&line.text, line.is_event),
            trace_id: trace_id(&line.text),
            text: line.text,
        };
        Self {
            lens: &shared.parts.system.lens,
            of,
            parts: shared
                .parts
                .system
                .statuses()
                .into_iter()
                .map(|(part, _)| part)
                .collect(),
            lines: lines.into_iter().map(view).collect(),
        }
    }

    fn is_of(&self, part: &Part) -> bool {
        self.of == Some(*part)
    }
}

fn class(text: &str, is_event: bool) -> &'static str {
    if is_event || text.contains("ERROR") {
        "bad-text"
    } else if text.contains("WARN") {
        "warn-text"
    } else {
        ""
    }
}

/// The first 32 hexadecimal digits of a line that stand alone.
fn trace_id(text: &str) -> Option<String> {
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let is_id = |word: &&str| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    words.find(is_id).map(str::to_owned)
}

/// The guided walk.
#[derive(Template)]
#[template(path = "walk.html")]
pub(super) struct WalkView<'a> {
    csrf: &'a str,
    lens: &'a str,
    console: &'a str,
    /// 0: closed; 4: the order is final.
    pub(super) step: u8,
    in_charge: Vec<(Part, usize)>,
    killed: Option<Killed>,
    is_down: bool,
    charges: Option<usize>,
    lease: String,
    accepted: String,
    trouble: Option<String>,
}

impl<'a> WalkView<'a> {
    pub(super) fn of(shared: &'a Shared) -> Self {
        let parts = &shared.parts;
        let known = parts.audit.known();
        let mut view = Self {
            csrf: &shared.keys.csrf,
            lens: &parts.system.lens,
            console: &parts.system.api,
            step: 0,
            in_charge: Vec::new(),
            killed: None,
            is_down: false,
            charges: known.charges,
            lease: ui::duration(parts.lease),
            accepted: ui::grouped(known.numbers.accepted),
            trouble: shared.walk_trouble(),
        };
        match parts.walk.stage() {
            Stage::Closed => {}
            Stage::Explained => view.step = 1,
            Stage::Loaded(in_charge) => {
                view.step = 2;
                view.in_charge = in_charge.into_iter().collect();
            }
            Stage::Killed(killed) => {
                let is_final = killed.now.as_ref().is_some_and(|now| now.is_final);
                // The ledger is read after the row.
                let is_counted = view.charges.is_some_and(|charges| charges > 0);
                view.step = if is_final && is_counted { 4 } else { 3 };
                view.is_down = parts.walk.is_down(killed.part);
                view.killed = Some(killed);
            }
        }
        view
    }

    fn charged(&self) -> String {
        match self.charges {
            Some(1) => "charged once".to_owned(),
            Some(2) => "charged twice".to_owned(),
            Some(charges) => format!("charged {charges} times"),
            None => "not charged".to_owned(),
        }
    }
}

impl Event {
    fn moment(&self) -> Moment {
        Moment::precise(self.at)
    }

    fn class(&self) -> &'static str {
        match self.to.as_str() {
            "completed" => "ok",
            "failed" => "bad",
            "processing" => "busy",
            _ => "wait",
        }
    }
}

impl Killed {
    fn moment(&self) -> Moment {
        Moment::precise(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn a_trace_id_in_a_line_is_found_and_an_order_id_is_none() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(
            trace_id(&format!("INFO done trace_id={id} x")).as_deref(),
            Some(id)
        );
        assert_eq!(trace_id(&format!("INFO {id}0")), None);
        assert_eq!(trace_id("INFO 01a21c42-d6e8-74f6-aff1-150e400dea2b"), None);
    }

    #[test]
    fn a_rate_is_the_difference_of_two_totals_and_a_gap_has_none() {
        let start = Utc::now();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let known = Known {
            samples: VecDeque::from([(at(0), 10, 0), (at(3), 40, 6), (at(30), 100, 100)]),
            ..Known::default()
        };
        let (accepted, finals) = rates(&known, start);
        assert_eq!((accepted[0], finals[0]), (Some(10.0), Some(2.0)));
        assert_eq!(accepted[1], Some(0.0));
        assert_eq!(accepted[7], None);
        assert_eq!(accepted.len(), 100);
    }
}
