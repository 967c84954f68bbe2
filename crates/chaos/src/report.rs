//! What came of it, as a table.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What became of the orders of one round.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The round's faults.
    pub name: String,
    /// Orders that were answered 201.
    pub accepted: usize,
    /// Requests with another answer; the client knows that it has to come again.
    pub refused: usize,
    /// Requests without an answer. Such an order may exist; then all that follows holds for it too.
    pub unanswered: usize,
    /// Accepted, and not in PostgreSQL.
    pub lost: usize,
    /// Orders with more than one charge in the gateway's ledger.
    pub charged_twice: usize,
    /// Orders with a charge in the ledger, that are not completed with this charge.
    pub unrecorded: usize,
    /// Orders that say they were charged, without such a charge in the ledger.
    pub unpaid: usize,
    /// Orders that were not final when the round's patience was over.
    pub stuck: usize,
    /// Orders that were written to after they were final.
    pub changed_when_final: usize,
    /// Orders that failed for another reason than their card, and the reason.
    pub gave_up: Vec<String>,
    /// The most attempts of one order.
    pub most_attempts: i32,
    /// From an order's creation to its final state, at the longest.
    pub longest: Duration,
    /// From the end of the faults until every order from before was final.
    pub recovery: Option<Duration>,
    /// How long that may take.
    pub bound: Option<Duration>,
    /// How long the round took.
    pub took: Duration,
}

/// What became of all orders.
#[derive(Debug, Clone)]
pub struct Report {
    /// The schedule's seed.
    pub seed: u64,
    /// The rounds, in their order.
    pub rounds: Vec<Tally>,
    /// The processes' logs; deleted where the report is clean.
    pub logs: PathBuf,
}

impl Report {
    pub(crate) fn new(seed: u64, logs: &Path) -> Self {
        Self {
            seed,
            rounds: Vec::new(),
            logs: logs.to_owned(),
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rounds.iter().all(Tally::is_clean)
    }

    /// Whether every recovery took no longer than it may. Kept apart from the promises: a machine that is busy with something else
    /// breaks no promise.
    #[must_use]
    pub fn is_timely(&self) -> bool {
        !self.rounds.iter().any(Tally::is_late)
    }

    /// The counts of all rounds together; the longest of their times.
    #[must_use]
    pub fn total(&self) -> Tally {
        let start = Tally {
            name: "all".to_owned(),
            ..Tally::default()
        };
        self.rounds.iter().fold(start, |all, round| Tally {
            name: all.name,
            accepted: all.accepted + round.accepted,
            refused: all.refused + round.refused,
            unanswered: all.unanswered + round.unanswered,
            lost: all.lost + round.lost,
            charged_twice: all.charged_twice + round.charged_twice,
            unrecorded: all.unrecorded + round.unrecorded,
            unpaid: all.unpaid + round.unpaid,
            stuck: all.stuck + round.stuck,
            changed_when_final: all.changed_when_final + round.changed_when_final,
            gave_up: [all.gave_up, round.gave_up.clone()].concat(),
            most_attempts: all.most_attempts.max(round.most_attempts),
            longest: all.longest.max(round.longest),
            recovery: all.recovery.max(round.recovery),
            // Each round has its own.
            bound: None,
            took: all.took + round.took,
        })
    }
}

impl Tally {
    /// Whether every promise was kept. An order that gave up after its last attempt is none of them; nor is a request that was
    /// refused.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let broken = [
            self.lost,
            self.charged_twice,
            self.unpaid,
            self.stuck,
            self.changed_when_final,
        ];
        broken.iter().all(|count| *count == 0)
    }

    /// Whether the recovery took longer than it may.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.bound.is_some_and(|bound| self.recovery > Some(bound))
    }

    pub(crate) fn line(&self) -> String {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        format!(
            "{:<29}{:>8}{:>8}{:>8}{:>6}{:>8}{:>8}{:>8}{:>7}{:>8}{:>8}{:>9}{:>10}{:>10}",
            self.name,
            self.accepted,
            self.refused,
            self.unanswered,
            self.lost,
            self.charged_twice,
            self.unpaid,
            self.stuck,
            self.changed_when_final,
            self.unrecorded,
            self.gave_up.len(),
            self.most_attempts,
            seconds(self.longest),
            self.recovery.map_or_else(|| "-".to_owned(), seconds),
        )
    }
}

const HEAD: &str = "                                                    no       charged            after charge   gave     most  longest  recovered
fault                        accepted refused answer  lost   twice  unpaid   stuck  final    only      up attempts  to final     after";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}\n{HEAD}", self.seed)?;
        for round in &self.rounds {
            writeln!(f, "{}", round.line())?;
        }
        writeln!(f, "{}", self.total().line())?;
        for order in self.total().gave_up {
            writeln!(f, "{order}")?;
        }
        for late in self.rounds.iter().filter(|round| round.is_late()) {
            let bound = late.bound.unwrap_or_default();
            writeln!(f, "{}: the recovery took longer than {bound:?}", late.name)?;
        }
        if self.is_clean() {
            writeln!(f, "Nothing was lost, charged twice, or stuck.")
        } else {
            writeln!(f, "A promise was broken; the logs are in {}", self.logs.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_beyond_its_bound_is_late_and_breaks_no_promise() {
        let round = |seconds| Tally {
            recovery: Some(Duration::from_secs(seconds)),
            bound: Some(Duration::from_secs(10)),
            ..Tally::default()
        };
        let mut report = Report::new(1, Path::new("logs"));
        report.rounds.push(round(10));
        assert!(report.is_timely());
        report.rounds.push(round(11));
        assert!(!report.is_timely() && report.is_clean());
    }
}
