//! The counts of the orders, and the promises.

use askama::Template;

use crate::audit::{Known, STUCK_AFTER};
use crate::web::shared::Shared;

/// The counts of the orders.
#[derive(Template)]
#[template(path = "numbers.html")]
pub(in crate::web) struct NumbersView {
    known: Known,
    stuck_after: String,
}

impl NumbersView {
    pub(in crate::web) fn of(shared: &Shared) -> Self {
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
