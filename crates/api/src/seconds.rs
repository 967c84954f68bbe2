//! Durations for interfaces that take whole seconds.

use std::time::Duration;

/// Rounds up, so that only a zero duration becomes 0.
pub(crate) fn rounded_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_is_not_zero() {
        assert_eq!(rounded_up(Duration::from_millis(500)), 1);
        assert_eq!(rounded_up(Duration::from_secs(30)), 30);
        assert_eq!(rounded_up(Duration::ZERO), 0);
    }
}
