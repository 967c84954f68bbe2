//! How many spans arrived in each of the last seconds.

use crate::numbers::{double, double_of_count};

/// The seconds of an average.
const SECONDS: u64 = 10;

/// Counts by the second since some start; those of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Vec<(u64, usize)>);

impl Arrivals {
    /// Adds what arrived in this second. Seconds do not decrease.
    pub(super) fn add(&mut self, second: u64, spans: usize) {
        match self.0.last_mut() {
            Some((last, count)) if *last == second => *count += spans,
            _ => {
                self.0.retain(|(at, _)| at + SECONDS >= second);
                self.0.push((second, spans));
            }
        }
    }

    /// The average of the whole seconds before this one.
    pub(super) fn per_second(&self, second: u64) -> f64 {
        let whole = second.saturating_sub(SECONDS)..second;
        let counts = self.0.iter().filter(|(at, _)| whole.contains(at));
        let count: usize = counts.map(|(_, count)| count).sum();
        double_of_count(count) / double(SECONDS.min(second).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_of_the_last_ten_whole_seconds() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.per_second(0), 0.0);
        arrivals.add(0, 60);
        arrivals.add(0, 40);
        arrivals.add(1, 1_000_000);
        // The first second is over, the second one is not.
        assert_eq!(arrivals.per_second(1), 100.0);
        for second in 20..30 {
            arrivals.add(second, 7);
        }
        assert_eq!(arrivals.per_second(30), 7.0);
        assert_eq!(arrivals.per_second(39), 0.7);
        assert_eq!(arrivals.per_second(40), 0.0);
        assert!(arrivals.0.len() <= 11);
    }
}
