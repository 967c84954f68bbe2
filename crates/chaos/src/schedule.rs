//! Chance that can be repeated: all that is random in a schedule is drawn from one seed.

use std::time::Duration;

/// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>: small, and good enough for a schedule.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another stream, that this one decides.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, less than 1.
    fn part(&mut self) -> f64 {
        // The 32 highest bits; they fit exactly.
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / 2_f64.powi(32)
    }

    /// True for this part of the calls.
    pub(crate) fn chance(&mut self, part: f64) -> bool {
        self.part() < part
    }

    /// One of two.
    pub(crate) fn either(&mut self) -> usize {
        usize::from(self.chance(0.5))
    }

    /// Less than `limit`.
    pub(crate) fn up_to(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.part())
    }

    /// The pause before the next of events that come independently, `rate` a second on average.
    pub(crate) fn pause(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.part()).ln() / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_schedule_again_and_the_rate_asked_for() {
        let pauses = |seed| {
            let mut seeded = Seeded::new(seed);
            (0..10_000).map(|_| seeded.pause(50.0)).collect::<Vec<Duration>>()
        };
        assert_eq!(pauses(7), pauses(7));
        assert_ne!(pauses(7), pauses(8));
        let all: Duration = pauses(7).iter().sum();
        assert!((190..210).contains(&all.as_secs()), "{all:?}");
    }
}
