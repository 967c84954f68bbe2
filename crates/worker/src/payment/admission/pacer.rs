//! The rate of requests to the payment gateway: a token bucket whose rate follows what the gateway accepts.
//! A pure state machine: its caller passes the clock in.

use std::time::{Duration, Instant};

/// A 429 multiplies the rate by this.
const DECREASE: f64 = 0.7;
/// After so many seconds of use the rate is again what it was at the last 429. It grows slowly there, and
/// faster before and after (a cubic function, as in TCP's CUBIC, RFC 9438).
const SECONDS_TO_LIMIT: f64 = 4.0;
/// After so many seconds of use without a 429 the limit is gone: the rate doubles every second.
const SECONDS_TO_DOUBLING: f64 = 2.0 * SECONDS_TO_LIMIT;
/// Requests per second: the rate never falls below.
const MIN_RATE: f64 = 1.0;
/// Requests per second after the gateway was unavailable. From there the rate doubles every second.
const RESTART_RATE: f64 = 10.0;
/// Above this rate a restart is over, and the rate is unlimited again if it was before.
const UNLIMITED_ABOVE: f64 = 2000.0;
/// The bucket holds the tokens of so many seconds, and at least one.
const BURST_SECONDS: f64 = 0.1;
/// A `Retry-After` beyond this is not believed.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Orders that got no permit are spread over the time that they have waited already, within these bounds.
/// After a restart it is the shorter one, in which the rate becomes unlimited again.
const MIN_BACKLOG: Duration = Duration::from_secs(8);
const MAX_BACKLOG: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pacer {
    /// The operator's upper bound, in requests per second.
    max: f64,
    /// Requests per second; infinite until the first 429.
    rate: f64,
    /// Below this rate the rate doubles every second.
    doubles_below: f64,
    /// The rate at the last 429.
    limit: f64,
    /// Seconds since then in which the rate was used up.
    seconds_used: f64,
    /// Available tokens; negative while permits wait for theirs.
    tokens: f64,
    refilled_at: Instant,
    paused_until: Instant,
    decreased_at: Instant,
    increased_at: Instant,
    /// Whether a request had to wait since the last increase: an unused rate proves nothing.
    is_used: bool,
    /// Accepted requests in the current and in the last second.
    accepted: (f64, f64),
    second: Instant,
    /// When the last order that got no permit is to come back.
    backlog_until: Instant,
}

impl Pacer {
    /// `max`: requests per second.
    pub(super) fn new(max: Option<u32>, now: Instant) -> Self {
        let max = max.map_or(f64::INFINITY, f64::from);
        Self {
            max,
            rate: max,
            doubles_below: 0.0,
            limit: max,
            seconds_used: 0.0,
            tokens: burst(max),
            refilled_at: now,
            paused_until: now,
            decreased_at: now,
            increased_at: now,
            is_used: false,
            accepted: (0.0, 0.0),
            second: now,
            backlog_until: now,
        }
    }

    /// Requests per second, unless they are unlimited.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate.is_finite().then_some(self.rate)
    }

    /// Reserves `requests` permits, and returns the time until they may be used. If that is more than
    /// `max_wait`, nothing is reserved, and the error is the time until there is a permit.
    pub(super) fn reserve(
        &mut self,
        requests: u32,
        max_wait: Duration,
        now: Instant,
    ) -> Result<Duration, Duration> {
        self.refill(now);
        let wait = self.wait(now);
        self.is_used |= !wait.is_zero();
        if wait > max_wait {
            return Err(wait);
        }
        if self.rate.is_finite() {
            self.tokens -= f64::from(requests);
        }
        Ok(wait)
    }

    /// The time after which an order comes back that has waited for `waited` and needs so many requests: no
    /// time, if a permit is available within `max_wait`. Each order gets a later moment, so that they do not
    /// come back together.
    pub(super) fn backlog(
        &mut self,
        requests: u32,
        max_wait: Duration,
        waited: Duration,
        now: Instant,
    ) -> Duration {
        self.refill(now);
        let wait = self.wait(now);
        if wait <= max_wait {
            return Duration::ZERO;
        }
        let share = if self.rate.is_finite() {
            f64::from(requests) / self.rate
        } else {
            0.0
        };
        let is_restarting = self.rate < self.doubles_below;
        let longest = if is_restarting {
            MIN_BACKLOG
        } else {
            waited.clamp(MIN_BACKLOG, MAX_BACKLOG)
        };
        let turn = self.backlog_until.max(now + wait) + seconds(share);
        if turn - now > longest.max(wait) {
            return wait + longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        }
        self.backlog_until = turn;
        turn - now
    }

    /// A request was accepted: any response other than 429.
    pub(super) fn accepted(&mut self, now: Instant) {
        self.count(1.0, now);
        if self.rate.is_finite() && now.saturating_duration_since(self.increased_at) >= SECOND {
            self.increase(now);
        }
    }

    /// For how long no request may be sent, also none that has a permit.
    pub(super) fn paused_for(&self, now: Instant) -> Duration {
        self.paused_until.saturating_duration_since(now)
    }

    /// A request that was sent at `sent_at` got a 429. Requests that were sent before the last decrease, or
    /// in the pause after it, do not decrease the rate again.
    pub(super) fn limited(&mut self, sent_at: Instant, retry_after: Option<Duration>, now: Instant) {
        let pause = retry_after.unwrap_or_default().min(MAX_PAUSE);
        let is_known = sent_at < self.decreased_at || sent_at < self.paused_until;
        self.paused_until = self.paused_until.max(now + pause);
        if is_known {
            return;
        }
        self.refill(now);
        self.count(0.0, now);
        let (current, last) = self.accepted;
        let from = if self.rate.is_finite() {
            self.rate
        } else {
            current.max(last)
        };
        self.limit = from.max(MIN_RATE);
        self.rate = (from * DECREASE).max(MIN_RATE);
        self.doubles_below = 0.0;
        self.seconds_used = 0.0;
        self.tokens = self.tokens.min(0.0);
        self.decreased_at = now;
        self.increased_at = now;
        self.is_used = false;
    }

    /// The gateway is available again: starts with a low rate, which doubles up to the one before.
    pub(super) fn restart(&mut self, now: Instant) {
        self.refill(now);
        self.doubles_below = self.doubles_below.max(self.rate.min(UNLIMITED_ABOVE));
        self.rate = RESTART_RATE.min(self.rate);
        self.tokens = self.tokens.clamp(-1.0, burst(self.rate));
        self.increased_at = now;
        self.backlog_until = now;
    }

    fn increase(&mut self, now: Instant) {
        self.increased_at = now;
        if !std::mem::take(&mut self.is_used) {
            return;
        }
        self.refill(now);
        self.seconds_used += 1.0;
        self.rate = if self.rate < self.doubles_below {
            (self.rate * 2.0).min(self.doubles_below)
        } else if self.seconds_used > SECONDS_TO_DOUBLING {
            // Orders that are refused from now on need not wait for those before.
            self.backlog_until = now;
            self.rate * 2.0
        } else {
            let position = self.seconds_used / SECONDS_TO_LIMIT - 1.0;
            self.rate
                .max(self.limit * (1.0 + (1.0 - DECREASE) * position.powi(3)))
        };
        if self.rate >= UNLIMITED_ABOVE {
            self.rate = f64::INFINITY;
            self.tokens = 0.0;
        }
        self.rate = self.rate.min(self.max);
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        if self.rate.is_finite() {
            self.tokens = (self.tokens + seconds * self.rate).min(burst(self.rate));
        }
    }

    /// Time until the next permit.
    fn wait(&self, now: Instant) -> Duration {
        let pause = self.paused_for(now);
        if self.rate.is_infinite() || self.tokens >= 1.0 {
            return pause;
        }
        pause.max(seconds((1.0 - self.tokens) / self.rate))
    }

    fn count(&mut self, requests: f64, now: Instant) {
        let age = now.saturating_duration_since(self.second);
        if age >= SECOND {
            let last = if age < SECOND * 2 { self.accepted.0 } else { 0.0 };
            self.accepted = (0.0, last);
            self.second = now;
        }
        self.accepted.0 += requests;
    }
}

fn burst(rate: f64) -> f64 {
    if rate.is_finite() {
        (rate * BURST_SECONDS).max(1.0)
    } else {
        0.0
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_WAIT: Duration = Duration::ZERO;
    const MAX_WAIT: Duration = Duration::from_millis(250);

    /// Reserves single permits for `period`, and returns how many were given.
    fn given(pacer: &mut Pacer, period: Duration, from: Instant) -> u32 {
        let steps = u32::try_from(period.as_millis()).unwrap();
        let step = |n| from + Duration::from_millis(u64::from(n));
        let given = (0..steps).filter(|n| pacer.reserve(1, NO_WAIT, step(*n)).is_ok());
        u32::try_from(given.count()).unwrap()
    }

    #[test]
    fn the_rate_is_unlimited_until_the_first_429() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        for _ in 0..10_000 {
            assert_eq!(pacer.reserve(2, NO_WAIT, now), Ok(NO_WAIT));
        }
        assert_eq!(pacer.rate(), None);
    }

    #[test]
    fn the_operators_bound_is_kept() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(50), now);
        let given = given(&mut pacer, SECOND * 10, now);
        assert!((495..=510).contains(&given), "{given}");
        for second in 1..100 {
            pacer.accepted(now + SECOND * second);
        }
        assert_eq!(pacer.rate(), Some(50.0));
    }

    #[test]
    fn a_429_reduces_the_rate_to_a_part_of_what_was_accepted() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        for _ in 0..100 {
            pacer.accepted(now);
        }
        pacer.limited(now, None, now);
        assert_eq!(pacer.rate(), Some(70.0));
    }

    #[test]
    fn requests_of_the_same_round_trip_reduce_the_rate_once() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(100), now);
        let (sent, answered) = (now + SECOND, now + SECOND * 2);
        for _ in 0..10 {
            pacer.limited(sent, None, answered);
        }
        assert_eq!(pacer.rate(), Some(70.0));
        pacer.limited(answered, None, answered + SECOND);
        assert_eq!(pacer.rate(), Some(49.0));
    }

    #[test]
    fn retry_after_pauses_all_requests() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        pacer.limited(now, Some(SECOND * 5), now);
        assert_eq!(pacer.reserve(1, MAX_WAIT, now), Err(SECOND * 5));
        assert!(pacer.reserve(1, MAX_WAIT, now + SECOND * 5).is_ok());
    }

    /// The rates of so many seconds in which all permits are used, and no request gets a 429.
    fn used(pacer: &mut Pacer, seconds: u32, from: Instant) -> Vec<f64> {
        let mut rate_after = |second| {
            let now = from + SECOND * second;
            while pacer.reserve(1, NO_WAIT, now).is_ok() {}
            pacer.accepted(now);
            pacer.rate().unwrap_or(f64::INFINITY)
        };
        (1..=seconds).map(&mut rate_after).collect()
    }

    #[test]
    fn an_unused_rate_does_not_grow() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(100), now);
        pacer.limited(now + SECOND, None, now + SECOND);
        for second in 2..20 {
            pacer.accepted(now + SECOND * second);
        }
        assert_eq!(pacer.rate(), Some(70.0));
    }

    #[test]
    fn a_used_rate_grows_slowly_near_the_limit_and_doubles_once_the_limit_is_gone() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        for _ in 0..100 {
            pacer.accepted(now);
        }
        pacer.limited(now, None, now);
        let rates: Vec<_> = used(&mut pacer, 11, now)
            .iter()
            .map(|rate| rate.round())
            .collect();
        assert_eq!(
            rates,
            [
                87.0, 96.0, 100.0, 100.0, 100.0, 104.0, 113.0, 130.0, 260.0, 520.0, 1040.0
            ]
        );
    }

    #[test]
    fn after_a_restart_the_rate_doubles_every_second_until_it_is_unlimited() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        pacer.restart(now);
        assert_eq!(pacer.rate(), Some(RESTART_RATE));
        let doubled = [20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, f64::INFINITY];
        assert_eq!(used(&mut pacer, 8, now), doubled);
    }

    #[test]
    fn orders_without_a_permit_come_back_one_after_another() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(10), now);
        while pacer.reserve(2, NO_WAIT, now).is_ok() {}
        let mut back = |waited| pacer.backlog(2, NO_WAIT, waited, now);
        let backs = [NO_WAIT; 3].map(&mut back);
        let apart = Duration::from_millis(200);
        assert_eq!((backs[1] - backs[0], backs[2] - backs[1]), (apart, apart));
        for _ in 0..10_000 {
            assert!(back(NO_WAIT) <= MIN_BACKLOG + SECOND);
            assert!(back(SECOND * 30) <= SECOND * 31);
            assert!(back(SECOND * 3600) <= MAX_BACKLOG + SECOND);
        }
    }

    #[test]
    fn after_a_restart_orders_without_a_permit_come_back_soon_however_long_they_have_waited() {
        let now = Instant::now();
        let mut pacer = Pacer::new(None, now);
        pacer.restart(now);
        while pacer.reserve(2, NO_WAIT, now).is_ok() {}
        for _ in 0..10_000 {
            assert!(pacer.backlog(2, NO_WAIT, SECOND * 600, now) <= MIN_BACKLOG + SECOND);
        }
    }

    #[test]
    fn a_short_wait_reserves_its_permit() {
        let now = Instant::now();
        let mut pacer = Pacer::new(Some(10), now);
        let waits: Vec<_> = (0..4)
            .map_while(|_| pacer.reserve(1, MAX_WAIT, now).ok())
            .collect();
        let expected = [0, 100, 200].map(Duration::from_millis);
        assert_eq!(waits, expected);
    }
}
