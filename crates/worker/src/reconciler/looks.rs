//! How far back each look for due orders reads.
//!
//! While a snapshot is held open in PostgreSQL, the index entries of orders that were processed since then
//! remain, and a look at all of them takes hundreds of milliseconds. So a look reads what became due since
//! the last one, and a little more: the transaction of an order may commit after it became due.

use std::time::{Duration, Instant};

use store::EVER;

/// How far a look reads. Each kind reads what the kinds before it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// For transactions as short as the product's own are.
    Recent,
    /// For transactions that took as long as a statement can.
    Wide,
    /// For orders that a session of an operator made due in the past, or held locked.
    All,
}

const RECENT_OVERLAP: Duration = Duration::from_millis(500);
const WIDE_OVERLAP: Duration = Duration::from_secs(10);
const WIDE_INTERVAL: Duration = Duration::from_secs(5);
const ALL_INTERVAL: Duration = Duration::from_secs(60);

/// The looks for due orders so far: for each reach, when the last look began that read so far and took all it
/// found.
#[derive(Debug, Default)]
pub(super) struct Looks {
    recent: Option<Instant>,
    wide: Option<Instant>,
    all: Option<Instant>,
}

impl Looks {
    /// How far a look at this time reads, and how long its orders may have been due.
    pub(super) fn next(&self, now: Instant) -> (Reach, Duration) {
        match (self.recent, self.wide, self.all) {
            (Some(recent), Some(wide), Some(all)) if now - all < ALL_INTERVAL => {
                if now - wide < WIDE_INTERVAL {
                    (Reach::Recent, now - recent + RECENT_OVERLAP)
                } else {
                    (Reach::Wide, now - wide + WIDE_OVERLAP)
                }
            }
            _ => (Reach::All, EVER),
        }
    }

    /// A look that began then took all it found.
    pub(super) fn took_all(&mut self, began: Instant, reach: Reach) {
        self.recent = Some(began);
        if reach >= Reach::Wide {
            self.wide = Some(began);
        }
        if reach == Reach::All {
            self.all = Some(began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_reads_what_became_due_since_the_last_one_and_now_and_then_more() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut looks = Looks::default();
        assert_eq!(looks.next(start), (Reach::All, EVER));
        // Before, a look failed, or there may be more than it took.
        assert_eq!(looks.next(at(1)), (Reach::All, EVER));
        looks.took_all(at(1), Reach::All);
        let second = Duration::from_secs(1);
        assert_eq!(looks.next(at(2)), (Reach::Recent, second + RECENT_OVERLAP));
        looks.took_all(at(2), Reach::Recent);
        assert_eq!(looks.next(at(3)), (Reach::Recent, second + RECENT_OVERLAP));
        assert_eq!(looks.next(at(6)), (Reach::Wide, 5 * second + WIDE_OVERLAP));
        looks.took_all(at(6), Reach::Wide);
        assert_eq!(looks.next(at(7)), (Reach::Recent, second + RECENT_OVERLAP));
        // Failed looks are made good by one that reads as far as they would have.
        assert_eq!(looks.next(at(40)), (Reach::Wide, 34 * second + WIDE_OVERLAP));
        assert_eq!(looks.next(at(61)), (Reach::All, EVER));
    }
}
