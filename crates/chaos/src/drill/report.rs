//! What fired during a drill, and whether it is what had to fire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::dashboards::Panels;
use super::rules::{Doctored, FACTOR, is_doctored};
use super::steps::Step;
use super::watch::Seen;

/// Metrics without data in a drill: those of the collector itself, which takes no part, and the number of
/// rows that a newer version wrote.
const ABSENT: [&str; 2] = ["otelcol_", "throughline:orders_unreadable"];

/// What a drill saw.
#[derive(Debug)]
pub struct DrillReport {
    /// What fired before the first fault.
    pub(super) normal: BTreeMap<String, Seen>,
    /// Each fault in turn.
    pub outcomes: Vec<Outcome>,
    /// Whether each query of the dashboards had data.
    pub(super) panels: Panels,
    doctored: Vec<Doctored>,
}

/// How late an alert may fire beyond its `for`: an export, a scrape, two evaluations and a look are 2.75 s,
/// and the machine is busy.
const LATENESS: Duration = Duration::from_secs(5);

/// What fired during and after a fault.
#[derive(Debug, Clone)]
pub struct Outcome {
    step: Step,
    /// How long after the fault's beginning each alert that must fire may take to do so.
    deadlines: BTreeMap<&'static str, Duration>,
    /// What fired, by alert.
    pub alerts: BTreeMap<String, Alert>,
}

/// When an alert fired.
#[derive(Debug, Clone, Copy)]
pub struct Alert {
    /// After the fault's beginning.
    pub fired_after: Duration,
    /// After the fault's end; `None` if it still fired at the end of the step.
    pub resolved_after: Option<Duration>,
}

impl Outcome {
    /// `waits` has the `for` of each alert.
    pub(super) fn new(
        step: &Step,
        start: Instant,
        end: Instant,
        seen: BTreeMap<String, Seen>,
        waits: &BTreeMap<String, Duration>,
    ) -> Self {
        let alert = |(name, seen): (String, Seen)| {
            let alert = Alert {
                fired_after: seen.first.saturating_duration_since(start),
                resolved_after: (!seen.is_firing).then(|| seen.last.saturating_duration_since(end)),
            };
            (name, alert)
        };
        let deadline = |(alert, after): &(&'static str, u64)| {
            let wait = waits.get(*alert).copied().unwrap_or_default();
            (*alert, Duration::from_secs(*after) + wait + LATENESS)
        };
        Self {
            step: step.clone(),
            deadlines: step.alerts.iter().map(deadline).collect(),
            alerts: seen.into_iter().map(alert).collect(),
        }
    }

    /// What is wrong with the alerts that fired; `copy` stands for the rule that it is a copy of.
    fn problems(&self, copy: Option<&Doctored>) -> Vec<String> {
        let name = |alert: &str| match copy {
            Some(copy) if copy.alert == alert => copy.name(),
            _ => alert.to_owned(),
        };
        let mut problems = Vec::new();
        let mut expected = BTreeSet::new();
        let fault = self.step.fault;
        for (alert, deadline) in &self.deadlines {
            match self.alerts.get(&name(alert)) {
                None => problems.push(format!("{fault}: {alert} does not fire")),
                Some(seen) if seen.fired_after > *deadline => {
                    let (fired, within) = (minutes(seen.fired_after), minutes(*deadline));
                    problems.push(format!(
                        "{fault}: {alert} fires after {fired}, not within {within}"
                    ));
                }
                Some(_) => {}
            }
            expected.insert(name(alert));
        }
        expected.extend(self.step.may.iter().map(|alert| name(alert)));
        let copied = copy.map(|copy| (copy.name(), copy.alert));
        for (alert, seen) in &self.alerts {
            let is_copy = copied.as_ref().is_some_and(|(name, _)| name == alert);
            let is_replaced = copied.as_ref().is_some_and(|(_, of)| of == alert);
            if is_replaced || is_doctored(alert) && !is_copy {
                continue;
            }
            if !expected.contains(alert) {
                problems.push(format!("{fault}: {alert} fires"));
            }
            // A budget may burn on until long after the step.
            let is_awaited = self.deadlines.keys().any(|awaited| name(awaited) == *alert);
            if is_awaited && seen.resolved_after.is_none() {
                problems.push(format!("{fault}: {alert} does not resolve"));
            }
        }
        problems
    }
}

impl DrillReport {
    pub(super) fn new(doctored: &[Doctored]) -> Self {
        Self {
            normal: BTreeMap::new(),
            outcomes: Vec::new(),
            panels: Panels::new(),
            doctored: doctored.to_vec(),
        }
    }

    /// Everything that is not as it has to be.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.problems_with(None)
    }

    /// The same, if each broken copy were the rule.
    #[must_use]
    pub fn problems_of_doctored(&self) -> Vec<(Doctored, Vec<String>)> {
        let problems = |copy: &Doctored| (copy.clone(), self.problems_with(Some(copy)));
        self.doctored.iter().map(problems).collect()
    }

    fn problems_with(&self, copy: Option<&Doctored>) -> Vec<String> {
        let is_counted = |alert: &&String| match copy {
            Some(copy) if copy.alert == alert.as_str() => false,
            Some(copy) => !is_doctored(alert) || **alert == copy.name(),
            None => !is_doctored(alert),
        };
        let normal = self.normal.keys().filter(is_counted);
        let normal = normal.map(|alert| format!("normal load: {alert} fires"));
        let of_steps = self.outcomes.iter().flat_map(|outcome| outcome.problems(copy));
        normal.chain(of_steps).collect()
    }

    /// Queries of dashboards that had no data, as `dashboard: panel: query`. Left out are those of the
    /// collector's own metrics, as it takes no part, and of rows that a newer version wrote.
    #[must_use]
    pub fn empty_panels(&self) -> Vec<String> {
        let empty = self.panels.iter().filter(|(_, has_data)| !**has_data);
        empty
            .filter(|((_, _, query), _)| !ABSENT.iter().any(|name| query.contains(name)))
            .map(|((board, panel, query), _)| format!("{board}: {panel}: {query}"))
            .collect()
    }

    /// Whether exactly the alerts of each fault fired in time and resolved.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems().is_empty()
    }
}

/// In time of the rules, of which one look of a drill is 15 s.
fn minutes(duration: Duration) -> String {
    format!("{:.1} min", duration.as_secs_f64() * f64::from(FACTOR) / 60.0)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.step.fault;
        let real: Vec<_> = self
            .alerts
            .iter()
            .filter(|(alert, _)| !is_doctored(alert))
            .collect();
        if real.is_empty() {
            return write!(f, "| `{fault}` | none | | | |");
        }
        for (line, (alert, seen)) in real.into_iter().enumerate() {
            if line > 0 {
                writeln!(f)?;
            }
            let resolved = seen.resolved_after.map_or_else(|| "not".to_owned(), minutes);
            let fired = minutes(seen.fired_after);
            let deadline = self.deadlines.get(alert.as_str());
            let deadline = deadline.map_or_else(String::new, |it| minutes(*it));
            write!(
                f,
                "| `{fault}` | [{alert}]({alert}.md) | {fired} | {deadline} | {resolved} |"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for DrillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | alert, and its runbook | fires after the fault begins | must fire within | resolves after it ends |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|")?;
        for outcome in &self.outcomes {
            writeln!(f, "{outcome}")?;
        }
        for problem in self.problems() {
            writeln!(f, "wrong: {problem}")?;
        }
        for panel in self.empty_panels() {
            writeln!(f, "a panel without data: {panel}")?;
        }
        Ok(())
    }
}
