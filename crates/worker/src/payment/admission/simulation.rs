//! A fleet of orders, one worker and a gateway in trouble, with a virtual clock: how many more requests than
//! without the trouble the worker sends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::breaker::{Health, Ticket};
use super::gate::Gate;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const LATENCY: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Three quarters of the default concurrency.
const PLACES: usize = 48;

/// What the gateway does from the start until `until`.
#[derive(Clone, Copy)]
struct Trouble {
    kind: Kind,
    until: Duration,
}

#[derive(Clone, Copy)]
enum Kind {
    /// 500, stored under the idempotency key.
    Errors,
    Refused,
    Hangs,
    /// 401.
    WrongKey,
    /// Takes so many requests per second, and responds 429 with `Retry-After: 1` to the others.
    Limit(u32),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Response {
    Ok,
    Unavailable,
    Rejecting,
    Limited,
}

#[derive(Default, Clone)]
struct Order {
    waiting_since: Option<Duration>,
    /// Requests that are still to be sent.
    create_again: bool,
    has_intent: bool,
    ticket: Option<Ticket>,
    requests_left: u32,
    is_done: bool,
}

/// In order of the time.
type Event = Reverse<(Duration, usize, Step)>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Claim,
    Send,
    Respond { sent_at: Duration, response: Response },
}

struct Fleet {
    start: Instant,
    gate: Gate,
    trouble: Trouble,
    events: BinaryHeap<Event>,
    orders: Vec<Order>,
    visits: usize,
    requests: u32,
    claims: u32,
    /// The current second of the gateway's limit, and its requests.
    window: (u64, u32),
    now: Duration,
}

impl Fleet {
    fn new(trouble: Trouble, orders: u32, per_second: u32) -> Self {
        fastrand::seed(7);
        let start = Instant::now();
        let arrive = |n: u32| Reverse((SECOND * n / per_second, usize::try_from(n).unwrap(), Step::Claim));
        Self {
            start,
            gate: Gate::new(None, start),
            trouble,
            events: (0..orders).map(arrive).collect(),
            orders: vec![Order::default(); usize::try_from(orders).unwrap()],
            visits: 0,
            requests: 0,
            claims: 0,
            window: (0, 0),
            now: Duration::ZERO,
        }
    }

    /// Until all orders are charged. Returns the requests per request that was necessary.
    fn run(&mut self) -> f64 {
        while let Some(Reverse((at, n, step))) = self.events.pop() {
            assert!(at < MINUTE * 60 * 3, "orders wait for ever");
            self.now = at;
            match step {
                Step::Claim => self.claim(n),
                Step::Send => self.send(n),
                Step::Respond { sent_at, response } => self.respond(n, sent_at, response),
            }
        }
        assert!(self.orders.iter().all(|order| order.is_done));
        let necessary = 2.0 * f64::from(u32::try_from(self.orders.len()).unwrap());
        f64::from(self.requests) / necessary
    }

    fn clock(&self) -> Instant {
        self.start + self.now
    }

    fn waited(&self, n: usize) -> Duration {
        self.orders[n]
            .waiting_since
            .map_or(Duration::ZERO, |since| self.now - since)
    }

    fn claim(&mut self, n: usize) {
        self.claims += 1;
        let (waited, clock) = (self.waited(n), self.clock());
        if let Some(delay) = self.gate.refuses(waited, clock) {
            return self.wait(n, delay);
        }
        if self.visits == PLACES {
            return self.wait(n, SECOND);
        }
        match self.gate.admit(waited, clock) {
            Err(delay) => self.wait(n, delay),
            Ok((ticket, wait)) => {
                self.visits += 1;
                let order = &mut self.orders[n];
                order.ticket = Some(ticket);
                order.requests_left = 2 + u32::from(order.create_again);
                self.events.push(Reverse((self.now + wait, n, Step::Send)));
            }
        }
    }

    fn send(&mut self, n: usize) {
        let pause = self.gate.paused_for(self.clock());
        if !pause.is_zero() {
            return self.events.push(Reverse((self.now + pause, n, Step::Send)));
        }
        self.requests += 1;
        let (sent_at, (latency, response)) = (self.now, self.gateway());
        let step = Step::Respond { sent_at, response };
        self.events.push(Reverse((self.now + latency, n, step)));
    }

    fn gateway(&mut self) -> (Duration, Response) {
        if self.now >= self.trouble.until {
            return (LATENCY, Response::Ok);
        }
        match self.trouble.kind {
            Kind::Errors => (LATENCY, Response::Unavailable),
            Kind::Refused => (LATENCY / 50, Response::Unavailable),
            Kind::Hangs => (TIMEOUT, Response::Unavailable),
            Kind::WrongKey => (LATENCY, Response::Rejecting),
            Kind::Limit(limit) => {
                if self.window.0 != self.now.as_secs() {
                    self.window = (self.now.as_secs(), 0);
                }
                self.window.1 += 1;
                if self.window.1 > limit {
                    (LATENCY / 10, Response::Limited)
                } else {
                    (LATENCY, Response::Ok)
                }
            }
        }
    }

    fn respond(&mut self, n: usize, sent_at: Duration, response: Response) {
        let clock = self.clock();
        let order = &mut self.orders[n];
        match response {
            Response::Ok => {
                self.gate.accepted(clock);
                order.requests_left -= 1;
                order.has_intent = true;
                if order.requests_left > 0 {
                    return self.send(n);
                }
                order.is_done = true;
                self.leave(n, Health::Available);
            }
            Response::Limited => {
                self.gate.limited(self.start + sent_at, Some(SECOND), clock);
                self.fail(n, Health::Unavailable);
            }
            Response::Unavailable => {
                order.create_again = !order.has_intent && matches!(self.trouble.kind, Kind::Errors);
                self.fail(n, Health::Unavailable);
            }
            Response::Rejecting => self.fail(n, Health::Rejecting),
        }
    }

    fn fail(&mut self, n: usize, health: Health) {
        self.leave(n, health);
        let delay = self.gate.delay(self.waited(n), self.clock());
        self.wait(n, delay);
    }

    fn leave(&mut self, n: usize, health: Health) {
        self.visits -= 1;
        let ticket = self.orders[n].ticket.take().unwrap();
        self.gate.leave(ticket, health, self.clock());
    }

    fn wait(&mut self, n: usize, delay: Duration) {
        self.orders[n].waiting_since.get_or_insert(self.now);
        self.events.push(Reverse((self.now + delay, n, Step::Claim)));
    }
}

#[test]
fn an_outage_of_ten_minutes_costs_less_than_a_fifth_more_requests() {
    for kind in [Kind::Errors, Kind::Refused, Kind::Hangs, Kind::WrongKey] {
        let until = MINUTE * 10;
        let mut fleet = Fleet::new(Trouble { kind, until }, 6_000, 8);
        let amplification = fleet.run();
        assert!(amplification < 1.2, "{amplification}");
        let late = fleet.now - until;
        assert!(
            late < MINUTE * 5,
            "the last order is charged {late:?} after the outage"
        );
        let claims = f64::from(fleet.claims) / 6_000.0;
        assert!(claims < 25.0, "{claims} claims per order");
    }
}

#[test]
fn a_short_outage_costs_less_than_a_fifth_more_requests() {
    for kind in [Kind::Errors, Kind::Refused, Kind::Hangs, Kind::WrongKey] {
        let mut fleet = Fleet::new(
            Trouble {
                kind,
                until: SECOND * 20,
            },
            300,
            5,
        );
        let amplification = fleet.run();
        assert!(amplification < 1.2, "{amplification}");
    }
}

#[test]
fn twice_the_orders_that_the_gateway_takes_cost_less_than_a_fifth_more_requests() {
    for limit in [10, 25, 100] {
        let until = MINUTE * 10;
        let orders = limit * 600;
        let trouble = Trouble {
            kind: Kind::Limit(limit),
            until,
        };
        let mut fleet = Fleet::new(trouble, orders, limit);
        let amplification = fleet.run();
        assert!(amplification < 1.2, "{amplification} at {limit}/s");
        let claims = f64::from(fleet.claims) / f64::from(orders);
        assert!(claims < 25.0, "{claims} claims per order at {limit}/s");
    }
}

#[test]
fn a_gateway_that_is_never_relieved_is_used_to_most_of_its_limit() {
    for limit in [10, 25, 100] {
        let trouble = Trouble {
            kind: Kind::Limit(limit),
            until: MINUTE * 60 * 3,
        };
        let (orders, per_second) = (limit * 300, limit);
        let mut fleet = Fleet::new(trouble, orders, per_second);
        let amplification = fleet.run();
        assert!(amplification < 1.2, "{amplification} at {limit}/s");
        let used = 2.0 * f64::from(orders) / fleet.now.as_secs_f64() / f64::from(limit);
        assert!(used > 0.6, "{used} of {limit}/s");
    }
}

/// Each order that waits comes back soon enough to use the rate as it grows.
#[test]
fn a_limit_that_is_gone_is_noticed_soon() {
    for limit in [2, 5, 10] {
        let until = SECOND * 10;
        let trouble = Trouble {
            kind: Kind::Limit(limit),
            until,
        };
        let mut fleet = Fleet::new(trouble, 300, 30);
        let amplification = fleet.run();
        assert!(amplification < 1.2, "{amplification} after {limit}/s");
        let late = fleet.now - until;
        assert!(
            late < SECOND * 30,
            "the last order is charged {late:?} after a limit of {limit}/s"
        );
    }
}
