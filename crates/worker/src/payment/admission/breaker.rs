//! The circuit breaker for the payment gateway: while the gateway is unavailable no request is sent, apart
//! from one probe at a growing interval. A pure state machine: its caller passes the clock in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many unavailable visits in a row open the breaker.
const FAILURES_IN_A_ROW: u32 = 5;
/// The breaker also opens when more than half of so many recent visits found the gateway unavailable.
const RECENT_VISITS: usize = 20;
/// Older visits are not recent.
const RECENT: Duration = Duration::from_secs(10);
/// The first probe follows after this time; the interval doubles up to the maximum.
const MIN_PROBE_INTERVAL: Duration = Duration::from_secs(1);
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// A gateway that hangs is detected before its requests time out: after this time without a response...
const MAX_SILENCE: Duration = Duration::from_secs(3);
/// ...to so many visits, no further visit begins.
const VISITS_BEFORE_SILENCE: u32 = 5;

/// What a visit says about the gateway. A visit is the part of an attempt that talks to the gateway: it may
/// send several requests and counts once, so that a gateway of which only one endpoint fails is detected too.
/// Of the results of several requests the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    /// The visit ended before any request did.
    Unknown,
    Available,
    Unavailable,
    /// It rejects this service (401, 403): no order can be charged.
    Rejecting,
}

/// The right to visit the gateway. A result counts only in the phase in which its visit was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    phase: u64,
}

/// A change that the operator wants to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { probe_at: Instant },
    Probing { since: Instant },
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Increases with every change of the state.
    phase: u64,
    probe_interval: Duration,
    failures_in_a_row: u32,
    /// Time and health of the recent visits, oldest first.
    recent: VecDeque<(Instant, bool)>,
    /// Visits that were admitted since the last response, and the time of the first.
    unanswered: Option<(u32, Instant)>,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed,
            phase: 0,
            probe_interval: MIN_PROBE_INTERVAL,
            failures_in_a_row: 0,
            recent: VecDeque::with_capacity(RECENT_VISITS),
            unanswered: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// Admits a visit, or returns the time until the next one may be admitted. Each admitted visit ends with
    /// [`Breaker::record`].
    pub(super) fn admit(&mut self, now: Instant) -> Result<Ticket, Duration> {
        match self.state {
            State::Closed => self.admit_unless_silent(now)?,
            State::Open { probe_at } if now < probe_at => return Err(probe_at - now),
            State::Open { .. } => self.enter(State::Probing { since: now }),
            State::Probing { since } => {
                let next_probe = since + self.probe_interval;
                return Err(next_probe.saturating_duration_since(now).max(MIN_PROBE_INTERVAL));
            }
        }
        Ok(Ticket { phase: self.phase })
    }

    /// The time until a visit may be admitted, if the breaker is open.
    pub(super) fn refuses_for(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { probe_at } if now < probe_at => Some(probe_at - now),
            _ => None,
        }
    }

    /// Records how an admitted visit ended.
    pub(super) fn record(&mut self, ticket: Ticket, health: Health, now: Instant) -> Option<Change> {
        if ticket.phase != self.phase {
            return None;
        }
        if health != Health::Unknown {
            self.unanswered = None;
        }
        match (self.state, health) {
            // The probe's order ended before it learned anything: the next order is the probe.
            (State::Probing { .. }, Health::Unknown) => {
                self.enter(State::Open { probe_at: now });
                None
            }
            (State::Probing { .. }, Health::Available) => {
                self.close();
                Some(Change::Closed)
            }
            (State::Probing { .. }, Health::Unavailable | Health::Rejecting) => {
                self.probe_interval = (self.probe_interval * 2).min(MAX_PROBE_INTERVAL);
                self.open(now);
                None
            }
            (State::Closed, Health::Rejecting) => {
                self.open(now);
                Some(Change::Opened)
            }
            (State::Closed, Health::Available | Health::Unavailable) => {
                self.remember(now, health == Health::Available);
                let fails = self.fails();
                if fails {
                    self.open(now);
                }
                fails.then_some(Change::Opened)
            }
            (State::Open { .. }, _) | (State::Closed, Health::Unknown) => None,
        }
    }

    fn admit_unless_silent(&mut self, now: Instant) -> Result<(), Duration> {
        let (visits, since) = self.unanswered.unwrap_or((0, now));
        if visits >= VISITS_BEFORE_SILENCE && now.saturating_duration_since(since) >= MAX_SILENCE {
            return Err(MIN_PROBE_INTERVAL);
        }
        self.unanswered = Some((visits.saturating_add(1), since));
        Ok(())
    }

    fn remember(&mut self, now: Instant, available: bool) {
        self.failures_in_a_row = if available { 0 } else { self.failures_in_a_row + 1 };
        if self.recent.len() == RECENT_VISITS {
            self.recent.pop_front();
        }
        self.recent.push_back((now, available));
        while matches!(self.recent.front(), Some((at, _)) if now.saturating_duration_since(*at) > RECENT) {
            self.recent.pop_front();
        }
    }

    fn fails(&self) -> bool {
        let failures = self.recent.iter().filter(|(_, available)| !available).count();
        self.failures_in_a_row >= FAILURES_IN_A_ROW
            || self.recent.len() == RECENT_VISITS && failures > RECENT_VISITS / 2
    }

    fn open(&mut self, now: Instant) {
        let probe_at = now + self.probe_interval;
        self.enter(State::Open { probe_at });
    }

    fn close(&mut self) {
        self.probe_interval = MIN_PROBE_INTERVAL;
        self.enter(State::Closed);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.phase += 1;
        self.failures_in_a_row = 0;
        self.recent.clear();
        self.unanswered = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn visit(breaker: &mut Breaker, health: Health, now: Instant) -> Option<Change> {
        let ticket = breaker.admit(now).unwrap();
        breaker.record(ticket, health, now)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 1..FAILURES_IN_A_ROW {
            assert_eq!(visit(&mut breaker, Health::Unavailable, now), None);
        }
        assert_eq!(
            visit(&mut breaker, Health::Unavailable, now),
            Some(Change::Opened)
        );
        breaker
    }

    #[test]
    fn five_unavailable_visits_in_a_row_open_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(now), Err(SECOND));
        assert_eq!(breaker.refuses_for(now), Some(SECOND));
    }

    #[test]
    fn an_available_visit_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 0..4 {
            visit(&mut breaker, Health::Unavailable, now);
        }
        visit(&mut breaker, Health::Available, now);
        for _ in 0..4 {
            assert_eq!(visit(&mut breaker, Health::Unavailable, now), None);
        }
    }

    #[test]
    fn more_than_half_of_twenty_recent_visits_open_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        let pattern = [false, true, false, true, false];
        let mut changes = (0..20).map(|n| {
            let available = pattern[n % pattern.len()];
            let health = if available {
                Health::Available
            } else {
                Health::Unavailable
            };
            visit(&mut breaker, health, now)
        });
        assert!(changes.by_ref().take(19).all(|change| change.is_none()));
        assert_eq!(changes.next(), Some(Some(Change::Opened)));
    }

    #[test]
    fn visits_of_more_than_ten_seconds_ago_do_not_count() {
        let mut now = Instant::now();
        let mut breaker = Breaker::new();
        for n in 0..100 {
            now += SECOND;
            let health = if n % 3 == 0 {
                Health::Available
            } else {
                Health::Unavailable
            };
            assert_eq!(visit(&mut breaker, health, now), None);
        }
    }

    #[test]
    fn a_gateway_that_rejects_the_service_opens_it_at_once() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        assert_eq!(visit(&mut breaker, Health::Rejecting, now), Some(Change::Opened));
    }

    #[test]
    fn probes_follow_at_a_doubling_interval_one_at_a_time() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let interval = SECOND * seconds;
            assert_eq!(breaker.admit(now), Err(interval));
            now += interval;
            let probe = breaker.admit(now).unwrap();
            assert!(breaker.admit(now).is_err(), "a second probe");
            assert_eq!(breaker.record(probe, Health::Unavailable, now), None);
        }
    }

    #[test]
    fn a_successful_probe_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + SECOND;
        let closed = visit(&mut breaker, Health::Available, later);
        assert_eq!(closed, Some(Change::Closed));
        assert!(!breaker.is_open());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_probe_without_a_response_leaves_the_probe_to_the_next_order() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + SECOND;
        assert_eq!(visit(&mut breaker, Health::Unknown, later), None);
        assert!(breaker.is_open());
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn visits_that_began_before_it_opened_change_nothing() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        let old = breaker.admit(now).unwrap();
        for _ in 0..FAILURES_IN_A_ROW {
            visit(&mut breaker, Health::Unavailable, now);
        }
        assert_eq!(breaker.record(old, Health::Available, now), None);
        assert_eq!(breaker.record(old, Health::Unavailable, now), None);
        assert_eq!(breaker.admit(now), Err(SECOND));
    }

    #[test]
    fn a_gateway_that_hangs_gets_no_further_visits_before_the_first_one_times_out() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        let tickets: Vec<_> = (0..5).map(|_| breaker.admit(now).unwrap()).collect();
        assert!(breaker.admit(now + SECOND).is_ok());
        assert_eq!(breaker.admit(now + SECOND * 3), Err(SECOND));
        breaker.record(tickets[0], Health::Available, now + SECOND * 4);
        assert!(breaker.admit(now + SECOND * 4).is_ok());
    }
}
