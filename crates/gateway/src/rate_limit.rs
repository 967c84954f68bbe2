//! The rate limit of `rate_limit_per_second`: a token bucket that holds the requests of one second.

use std::time::Instant;

/// Full at first.
#[derive(Default)]
pub(crate) struct RateLimit {
    last: Option<(Instant, f64)>,
}

impl RateLimit {
    /// Takes one request from the bucket; false where it is empty.
    pub(crate) fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let capacity = f64::from(per_second);
        let left = self.last.map_or(capacity, |(then, left)| {
            let refilled = now.saturating_duration_since(then).as_secs_f64() * capacity;
            capacity.min(left + refilled)
        });
        let admitted = left >= 1.0;
        self.last = Some((now, if admitted { left - 1.0 } else { left }));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_has_its_requests_and_no_more() {
        let mut limit = RateLimit::default();
        let start = Instant::now();
        let admitted = |limit: &mut RateLimit, after_ms| {
            let now = start + Duration::from_millis(after_ms);
            (0..100).filter(|_| limit.take(10, now)).count()
        };
        assert_eq!(admitted(&mut limit, 0), 10);
        assert_eq!(admitted(&mut limit, 50), 0);
        assert_eq!(admitted(&mut limit, 250), 2);
        assert_eq!(admitted(&mut limit, 60_000), 10, "it holds one second's requests");
    }
}
