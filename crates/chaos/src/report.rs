//! The result of a run, as a table.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The counts of one round.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The round's faults.
    pub name: String,
    /// Responses of 201.
    pub accepted: usize,
    /// Other responses; the client knows that it must repeat the request.
    pub refused: usize,
    /// Requests without a response. Such an order may exist; then the counts below include it.
    pub no_response: usize,
    /// Accepted orders that are not in PostgreSQL, or which the api does not find.
    pub lost: usize,
    /// Orders that were not accepted although their clients repeated the request.
    pub unaccepted: usize,
    /// Orders of a client that has another one: its repeated request was executed again.
    pub created_twice: usize,
    /// Orders with more than one charge in the gateway's ledger.
    pub charged_twice: usize,
    /// Orders with a charge in the ledger that are not completed with this charge.
    pub unrecorded: usize,
    /// Orders recorded as charged, without this charge in the ledger.
    pub unpaid: usize,
    /// Final orders whose payment is pending, or may still be charged at the gateway.
    pub unsettled: usize,
    /// Clients that held a stream or waited, and did not get the order's final state within 15 s.
    pub missed: usize,
    /// Cancelled orders that were charged, and orders with another state although their clients got a 204.
    pub cancelled_broken: usize,
    /// Clients that held a stream or waited.
    pub followed: usize,
    /// Responses of 204 to cancellations.
    pub cancelled: usize,
    /// Responses of 202 to an operator's retries.
    pub retried: usize,
    /// Changes of many orders at once that operators started.
    pub operations: usize,
    /// Those of them that were not finished at the end of the round's timeout.
    pub operations_unfinished: usize,
    /// Orders that they retried, and cancelled.
    pub retried_together: usize,
    pub cancelled_together: usize,
    /// Orders that were not final at the end of the round's timeout.
    pub stuck: usize,
    /// Orders that were written to after they were final.
    pub changed_when_final: usize,
    /// Final orders whose history does not lead to their state.
    pub history_broken: usize,
    /// Orders that failed although their cards were not declined, with the reason.
    pub gave_up: Vec<String>,
    /// The most attempts of one order.
    pub most_attempts: i32,
    /// The longest time from an order's creation to its final state.
    pub longest: Duration,
    /// From the end of the faults until every order that was created before was final.
    pub recovery: Option<Duration>,
    /// The most that `recovery` may take.
    pub recovery_bound: Option<Duration>,
    /// The round's duration.
    pub took: Duration,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The rounds, in the order in which they ran.
    pub rounds: Vec<Tally>,
    /// The folder with the processes' logs; deleted if the report is clean.
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

    /// Whether every promise holds in every round.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rounds.iter().all(Tally::is_clean)
    }

    /// Whether every recovery was within its bound. Separate from [`Report::is_clean`], because a busy
    /// machine can make a recovery late but breaks no promise.
    #[must_use]
    pub fn is_timely(&self) -> bool {
        !self.rounds.iter().any(Tally::is_late)
    }

    /// The sums of all counts and the maxima of all times.
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
            no_response: all.no_response + round.no_response,
            lost: all.lost + round.lost,
            unaccepted: all.unaccepted + round.unaccepted,
            created_twice: all.created_twice + round.created_twice,
            charged_twice: all.charged_twice + round.charged_twice,
            unrecorded: all.unrecorded + round.unrecorded,
            unpaid: all.unpaid + round.unpaid,
            unsettled: all.unsettled + round.unsettled,
            missed: all.missed + round.missed,
            cancelled_broken: all.cancelled_broken + round.cancelled_broken,
            followed: all.followed + round.followed,
            cancelled: all.cancelled + round.cancelled,
            retried: all.retried + round.retried,
            operations: all.operations + round.operations,
            operations_unfinished: all.operations_unfinished + round.operations_unfinished,
            retried_together: all.retried_together + round.retried_together,
            cancelled_together: all.cancelled_together + round.cancelled_together,
            stuck: all.stuck + round.stuck,
            changed_when_final: all.changed_when_final + round.changed_when_final,
            history_broken: all.history_broken + round.history_broken,
            gave_up: [all.gave_up, round.gave_up.clone()].concat(),
            most_attempts: all.most_attempts.max(round.most_attempts),
            longest: all.longest.max(round.longest),
            recovery: all.recovery.max(round.recovery),
            recovery_bound: None,
            took: all.took + round.took,
        })
    }
}

impl Tally {
    /// Whether every promise holds. A refused request breaks none. An order that gave up breaks one: no fault
    /// lasts as long as orders wait, so only a declined card is a reason to fail.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let broken = [
            self.lost,
            self.unaccepted,
            self.created_twice,
            self.charged_twice,
            self.unrecorded,
            self.unpaid,
            self.unsettled,
            self.missed,
            self.cancelled_broken,
            self.operations_unfinished,
            self.stuck,
            self.changed_when_final,
            self.history_broken,
            self.gave_up.len(),
        ];
        broken.iter().all(|count| *count == 0)
    }

    /// Whether the recovery took longer than its bound.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.recovery_bound
            .is_some_and(|bound| self.recovery > Some(bound))
    }

    pub(crate) fn line(&self) -> String {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        format!(
            "{:<29}{:>8}{:>8}{:>9}{:>6}{:>11}{:>8}{:>8}{:>8}{:>8}{:>10}{:>7}{:>11}{:>7}{:>7}{:>6}{:>9}{:>10}{:>10}{:>8}",
            self.name,
            self.accepted,
            self.refused,
            self.no_response,
            self.lost,
            self.unaccepted,
            self.created_twice,
            self.charged_twice,
            self.unrecorded,
            self.unpaid,
            self.unsettled,
            self.missed,
            self.cancelled_broken,
            self.stuck,
            self.changed_when_final,
            self.gave_up.len(),
            self.most_attempts,
            seconds(self.longest),
            self.recovery.map_or_else(|| "-".to_owned(), seconds),
            self.recovery_bound
                .map_or_else(|| "-".to_owned(), |bound| format!("{} s", bound.as_secs())),
        )
    }
}

const HEAD: &str = "                                                    no              not created charged  charge                   missed cancelled,         after  gave     most   longest recovered
fault                        accepted refused response  lost   accepted   twice   twice    only  unpaid unsettled  event    charged  stuck  final    up attempts  to final     after   bound";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}\n{HEAD}", self.seed)?;
        for round in &self.rounds {
            writeln!(f, "{}", round.line())?;
        }
        writeln!(f, "{}", self.total().line())?;
        let total = self.total();
        writeln!(
            f,
            "Clients followed {} orders and cancelled {}; operators retried {}, and in {} operations of many orders\n\
             retried {} and cancelled {}.",
            total.followed,
            total.cancelled,
            total.retried,
            total.operations,
            total.retried_together,
            total.cancelled_together,
        )?;
        if total.operations_unfinished > 0 {
            writeln!(
                f,
                "{} of these operations did not end.",
                total.operations_unfinished
            )?;
        }
        if total.history_broken > 0 {
            writeln!(
                f,
                "The histories of {} orders do not lead to their state.",
                total.history_broken
            )?;
        }
        for order in total.gave_up {
            writeln!(f, "{order}")?;
        }
        for late in self.rounds.iter().filter(|round| round.is_late()) {
            let bound = late.recovery_bound.unwrap_or_default();
            writeln!(f, "{}: the recovery took longer than {bound:?}", late.name)?;
        }
        if self.is_clean() {
            writeln!(
                f,
                "Nothing was lost, charged twice, unsettled or stuck, and each history leads to its order's state."
            )
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
            recovery_bound: Some(Duration::from_secs(10)),
            ..Tally::default()
        };
        let mut report = Report::new(1, Path::new("logs"));
        report.rounds.push(round(10));
        assert!(report.is_timely());
        report.rounds.push(round(11));
        assert!(!report.is_timely() && report.is_clean());
    }
}
