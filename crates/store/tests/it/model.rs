//! Any interleaving of two workers, a reconciler, a customer, an operator, a Redis that loses its data and a
//! PostgreSQL that loses a claim, with a crash between any two steps: PostgreSQL behaves as a small model,
//! and every invariant holds after every step.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{Attempt, Failure, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use throughline_store::{Changed, Claim, History, Settlement};

use crate::setup::{Fixture, MINUTE, attempt, operator, trace};

/// The row before a claim.
const BEFORE_CLAIM: &str = "CREATE TABLE before_claim AS TABLE orders WITH NO DATA";
const REMEMBER: &str = "DELETE FROM before_claim; INSERT INTO before_claim TABLE orders";
/// What the claim wrote is undone.
const UNDO: &str = "
    UPDATE orders SET (history, status, attempt, attempts_two_step, attempts_forgiven, crashes, claim_token,
        attempt_trace_context, dispatch_after, updated_at) =
    (SELECT history, status, attempt, attempts_two_step, attempts_forgiven, crashes, claim_token,
        attempt_trace_context, dispatch_after, updated_at FROM before_claim)";

/// What can happen next. The workers are 0 and 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Redis delivers a job: of the latest attempt, of an old one, or one that another worker has as well.
    Claim {
        worker: usize,
        age: usize,
    },
    Renew(usize),
    /// Creates the intent at the gateway, unless the key has one, and records it in the row.
    Intend(usize),
    /// Confirms the intent that the worker knows to be in the row. The bank's response is drawn.
    Confirm(usize, Bank),
    /// Records the attempt's outcome: completed if charged, failed if declined, otherwise as drawn.
    Finish(usize, Ending),
    /// The worker loses its state, between any two of its steps.
    Crash(usize),
    /// PostgreSQL crashes. It may then have lost a claim, if nothing was written after it.
    ServerCrash,
    /// A lease or a backoff ends.
    TimePasses,
    /// Takes due orders, and may die before it dispatches them.
    Reconcile {
        dispatches: bool,
    },
    /// Redis loses all jobs; the reconciler may die before it records the loss.
    RedisLosesAll {
        recorded: bool,
    },
    /// A dispatch failed, or its response was lost.
    DispatchNow,
    Cancel,
    /// An operator retries a failed order.
    Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bank {
    Charges,
    Declines,
}

/// An intent at the gateway. A declined one can be confirmed again, until it is canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Open,
    Charged,
    Canceled,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Retry,
    Wait,
    Fail,
    Release,
    Unreadable,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..2_usize;
    let ending = prop_oneof![
        Just(Ending::Retry),
        Just(Ending::Wait),
        Just(Ending::Fail),
        Just(Ending::Release),
        Just(Ending::Unreadable),
    ];
    let bank = prop_oneof![3 => Just(Bank::Charges), 1 => Just(Bank::Declines)];
    prop_oneof![
        6 => (worker.clone(), 0..3_usize).prop_map(|(worker, age)| Step::Claim { worker, age }),
        1 => worker.clone().prop_map(Step::Renew),
        4 => worker.clone().prop_map(Step::Intend),
        4 => (worker.clone(), bank).prop_map(|(worker, bank)| Step::Confirm(worker, bank)),
        4 => (worker.clone(), ending).prop_map(|(worker, ending)| Step::Finish(worker, ending)),
        1 => worker.prop_map(Step::Crash),
        1 => Just(Step::ServerCrash),
        3 => Just(Step::TimePasses),
        4 => any::<bool>().prop_map(|dispatches| Step::Reconcile { dispatches }),
        1 => any::<bool>().prop_map(|recorded| Step::RedisLosesAll { recorded }),
        1 => Just(Step::DispatchNow),
        1 => Just(Step::Cancel),
        2 => Just(Step::Retry),
    ]
}

/// The expected row of the order. An intent's id is its idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    status: OrderStatus,
    attempt: i32,
    counted: i32,
    crashes: i32,
    waiting: bool,
    due: bool,
    payment: PaymentStatus,
    intent: Option<String>,
}

/// An attempt that a worker holds.
#[derive(Debug, Clone)]
struct Held {
    claim: Claim,
    /// The idempotency key of its payment, as the worker read it with its claim.
    key: String,
    /// The intent in the row, as the worker read or recorded it.
    intent: Option<String>,
    declined: bool,
    /// There was nothing to charge, and the attempt has succeeded.
    free: bool,
}

struct World<'a> {
    fixture: &'a Fixture,
    order: Order,
    row: Row,
    workers: [Option<Held>; 2],
    /// The last claim.
    holder: Option<Claim>,
    /// The row, the length of the history and the holder before the last statement, if that was a claim.
    before_claim: Option<(Row, usize, Option<Claim>)>,
    /// The attempts whose jobs are or were in Redis.
    jobs: Vec<i32>,
    /// The gateway's intents, by their idempotency keys.
    gateway: HashMap<String, Intent>,
    /// The expected history: status, attempt, actor, reason.
    history: Vec<(OrderStatus, i32, String, Option<&'static str>)>,
}

impl World<'_> {
    async fn new(fixture: &Fixture, paid: bool) -> World<'_> {
        fixture.sql.execute("DELETE FROM orders", &[]).await.unwrap();
        let order = if paid {
            fixture.paid_order().await
        } else {
            fixture.order().await
        };
        World {
            fixture,
            row: Row {
                status: OrderStatus::Pending,
                attempt: 0,
                counted: 0,
                crashes: 0,
                waiting: false,
                due: false,
                payment: order.payment_status,
                intent: None,
            },
            order,
            workers: [None, None],
            holder: None,
            before_claim: None,
            jobs: vec![1],
            gateway: HashMap::new(),
            history: vec![(OrderStatus::Pending, 0, "customer:ada".to_owned(), None)],
        }
    }

    fn id(&self) -> OrderId {
        self.order.id
    }

    fn is_paid(&self) -> bool {
        self.order.payment_method.is_some()
    }

    fn charges(&self) -> usize {
        let charged = |intent: &&Intent| **intent == Intent::Charged;
        self.gateway.values().filter(charged).count()
    }

    fn holds(&self, held: &Held) -> bool {
        self.row.status == OrderStatus::Processing && self.holder == Some(held.claim)
    }

    fn becomes(&mut self, status: OrderStatus, due: bool, actor: &str, reason: Option<&'static str>) {
        self.row.status = status;
        self.history
            .push((status, self.row.attempt, actor.to_owned(), reason));
        self.row.due = due;
        if status.is_final() {
            self.row.waiting = false;
        }
    }

    /// The pending payment settles.
    fn settles(&mut self, payment: PaymentStatus) {
        if self.row.payment == PaymentStatus::Pending {
            self.row.payment = payment;
        }
    }

    /// Applies the step to PostgreSQL and to the model; both must agree on whether it has an effect.
    async fn take(&mut self, step: Step) {
        let (store, id) = (&self.fixture.store, self.id());
        if !matches!(step, Step::ServerCrash | Step::Crash(_) | Step::Confirm(..)) {
            self.before_claim = None;
        }
        match step {
            Step::Claim { worker, age } => self.claim(worker, age).await,
            Step::Renew(worker) => {
                let Some(held) = self.workers[worker].clone() else {
                    return;
                };
                let renewed = store.renew(held.claim, MINUTE).await.unwrap();
                assert_eq!(renewed, self.holds(&held));
                self.row.due &= !renewed;
            }
            Step::Intend(worker) => self.intend(worker).await,
            Step::Confirm(worker, bank) => self.confirm(worker, bank),
            Step::Finish(worker, ending) => self.finish(worker, ending).await,
            Step::Crash(worker) => self.workers[worker] = None,
            Step::ServerCrash => {
                if let Some((row, transitions, holder)) = self.before_claim.take() {
                    self.fixture.sql.batch_execute(UNDO).await.unwrap();
                    (self.row, self.holder) = (row, holder);
                    self.history.truncate(transitions);
                }
            }
            Step::TimePasses => {
                if !self.row.status.is_final() {
                    self.fixture.make_due(id).await;
                    self.row.due = true;
                }
            }
            Step::Reconcile { dispatches } => {
                let taken = store.take_due(10).await.unwrap();
                assert_eq!(taken.len(), usize::from(self.row.due));
                for due in taken {
                    assert_eq!(due.attempt, attempt(self.row.attempt));
                    if self.row.status == OrderStatus::Processing {
                        self.row.crashes += 1;
                        self.row.counted -= 1;
                    }
                    if self.row.status == OrderStatus::Processing {
                        self.becomes(OrderStatus::Pending, false, "system", Some("lease_expired"));
                    }
                    self.row.due = false;
                    if dispatches {
                        self.jobs.push(due.into_job().attempt.number());
                    }
                }
            }
            Step::RedisLosesAll { recorded } => {
                self.jobs.clear();
                if recorded {
                    store.dispatch_all_now(DateTime::<Utc>::MAX_UTC).await.unwrap();
                    self.row.due |= self.row.status == OrderStatus::Pending;
                }
            }
            Step::DispatchNow => {
                store.dispatch_now(id).await.unwrap();
                self.row.due |= self.row.status == OrderStatus::Pending;
            }
            Step::Retry => {
                let retried = store.retry(id, &operator()).await.unwrap();
                let may = self.row.status == OrderStatus::Failed;
                assert_eq!(matches!(retried, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Pending, true, "operator:grace", None);
                    self.row.counted = 0;
                    if self.is_paid() {
                        self.row.payment = PaymentStatus::Pending;
                        self.row.intent = None;
                    }
                }
            }
            Step::Cancel => {
                let cancelled = store.cancel(id, None, &operator()).await.unwrap();
                let may = self.row.status == OrderStatus::Pending && self.row.intent.is_none();
                assert_eq!(matches!(cancelled, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Cancelled, false, "operator:grace", None);
                    self.row.crashes = 0;
                    self.settles(PaymentStatus::Cancelled);
                }
            }
        }
    }

    async fn intend(&mut self, worker: usize) {
        let paid = self.is_paid();
        let Some(held) = &mut self.workers[worker] else {
            return;
        };
        if !paid || held.intent.is_some() {
            return;
        }
        let (key, claim) = (held.key.clone(), held.claim);
        self.gateway.entry(key.clone()).or_insert(Intent::Open);
        let recorded = self.fixture.store.record_intent(claim, &key).await.unwrap();
        let holds = self.workers[worker].as_ref().is_some_and(|held| self.holds(held));
        assert_eq!(recorded, holds, "only the holder records an intent");
        if !recorded {
            // The lease is lost: the worker stops.
            self.workers[worker] = None;
        } else if let Some(held) = &mut self.workers[worker] {
            held.intent = Some(key.clone());
            self.row.intent = Some(key);
        }
    }

    fn confirm(&mut self, worker: usize, bank: Bank) {
        let paid = self.is_paid();
        let Some(held) = &mut self.workers[worker] else {
            return;
        };
        held.free = !paid;
        let intent = held.intent.as_ref().and_then(|key| self.gateway.get_mut(key));
        if let Some(intent @ Intent::Open) = intent {
            match bank {
                Bank::Charges => *intent = Intent::Charged,
                Bank::Declines => held.declined = true,
            }
        }
    }

    async fn claim(&mut self, worker: usize, age: usize) {
        let Some(number) = self.jobs.iter().rev().nth(age).copied() else {
            return;
        };
        let mut job = self.order.next_job();
        job.attempt = Attempt::new(number);
        let claim = Claim::of(&job);
        self.fixture.sql.batch_execute(REMEMBER).await.unwrap();
        let before = (self.row.clone(), self.history.len(), self.holder);
        let claimed = self
            .fixture
            .store
            .claim(&job, claim, &worker.to_string(), &trace(2), MINUTE)
            .await
            .unwrap();
        let free = match self.row.status {
            OrderStatus::Pending => true,
            OrderStatus::Processing => self.row.due,
            _ => false,
        };
        assert_eq!(claimed.is_some(), free && number == self.row.attempt + 1);
        if let Some(order) = claimed {
            self.before_claim = Some(before);
            self.holder = Some(claim);
            self.row.attempt = number;
            let takes_over = self.row.status == OrderStatus::Processing;
            if takes_over {
                self.row.crashes += 1;
            } else {
                self.row.counted += 1;
            }
            let reason = takes_over.then_some("lease_expired");
            self.becomes(OrderStatus::Processing, false, &name(worker), reason);
            self.workers[worker] = Some(Held {
                claim,
                key: order.charge_key(),
                intent: order.payment_id,
                declined: false,
                free: false,
            });
        }
    }

    async fn finish(&mut self, worker: usize, ending: Ending) {
        let Some(held) = self.workers[worker].take() else {
            return;
        };
        let (store, id) = (&self.fixture.store, self.id());
        let why = Failure::new(FailureCode::PaymentTimeout, "No response.");
        let holds = self.holds(&held);
        let charged = held
            .intent
            .as_ref()
            .map(|key| self.gateway[key] == Intent::Charged);
        let fails = held.declined || matches!(ending, Ending::Fail);
        let payment = held.intent.as_deref();
        let (written, status, due) = if charged.unwrap_or(held.free) {
            let done = store.complete(held.claim, payment).await.unwrap();
            (done.is_some(), OrderStatus::Completed, false)
        } else if fails || payment.is_some_and(|key| self.gateway[key] == Intent::Canceled) {
            if let Some(key) = payment {
                self.gateway.insert(key.to_owned(), Intent::Canceled);
            }
            let settlement = if held.declined {
                Settlement::Refused
            } else {
                Settlement::Cancelled
            };
            let failed = store.fail(held.claim, &why, settlement).await.unwrap();
            (failed.is_some(), OrderStatus::Failed, false)
        } else {
            let (ended, due) = match ending {
                Ending::Retry | Ending::Fail => (
                    store
                        .back_off(held.claim, &why, MINUTE * 600)
                        .await
                        .unwrap()
                        .is_some(),
                    false,
                ),
                Ending::Wait => {
                    let waits = store.wait_for_gateway(held.claim, &why, MINUTE * 600).await;
                    (waits.unwrap().is_some(), false)
                }
                Ending::Release => (store.release(held.claim).await.unwrap().is_some(), true),
                Ending::Unreadable => {
                    let left = store.leave_unreadable(held.claim).await.unwrap();
                    if left {
                        self.fixture.make_due(id).await;
                    }
                    (left, true)
                }
            };
            (ended, OrderStatus::Pending, due)
        };
        assert_eq!(written, holds, "only the holder writes");
        if !written {
            return;
        }
        let reason = match (status, ending) {
            (OrderStatus::Completed, _) => None,
            (OrderStatus::Failed, _) => Some("payment_timeout"),
            (_, Ending::Release) => Some("released"),
            (_, Ending::Unreadable) => Some("unreadable"),
            _ => Some("payment_timeout"),
        };
        self.becomes(status, due, &name(worker), reason);
        self.row.crashes = 0;
        match status {
            OrderStatus::Completed => self.settles(PaymentStatus::Charged),
            OrderStatus::Failed if held.declined => self.settles(PaymentStatus::Refused),
            OrderStatus::Failed => self.settles(PaymentStatus::Cancelled),
            _ => match ending {
                Ending::Retry | Ending::Fail => self.row.waiting = false,
                Ending::Wait => {
                    self.row.waiting = true;
                    self.row.counted -= 1;
                }
                Ending::Release | Ending::Unreadable => self.row.counted -= 1,
            },
        }
    }

    /// The row equals the model's, and the invariants hold. Only an operator's retry leads out of a final
    /// state, and only out of failed.
    async fn check(&self, before: &Row, step: Step) {
        let order = self.fixture.find(self.id()).await;
        let due_in = self.fixture.due_in(self.id()).await;
        let row = Row {
            status: order.status,
            attempt: order.attempt.number(),
            counted: order.attempts_counted(),
            crashes: order.crashes,
            waiting: order.waiting_since.is_some(),
            due: due_in.is_some_and(|seconds| seconds <= 0.0),
            payment: order.payment_status,
            intent: order.payment_id,
        };
        assert_eq!(row, self.row);
        let history = self.fixture.store.history(self.id(), None).await.unwrap();
        self.check_history(&history.unwrap());
        let retried = matches!(step, Step::Retry) && before.status == OrderStatus::Failed;
        assert!(
            !before.status.is_final() || row == *before || retried,
            "a final state was left"
        );
        assert_eq!(
            due_in.is_none(),
            row.status.is_final(),
            "an unfinished order is never due"
        );
        assert!(self.charges() <= 1, "charged twice: {:?}", self.gateway);
        let completed = row.status == OrderStatus::Completed;
        assert_eq!(completed && self.is_paid(), row.payment == PaymentStatus::Charged);
        if row.status.is_final() {
            assert_ne!(row.payment, PaymentStatus::Pending, "a final order is settled");
            let charged = usize::from(completed && self.is_paid());
            assert_eq!(self.charges(), charged, "the gateway and the row differ");
        }
    }

    fn check_history(&self, history: &History) {
        assert!(!history.incomplete);
        let mut expected = self.history.iter();
        let mut before = None;
        for transition in &history.transitions {
            let (status, attempt, actor, reason) = expected.next().expect("no further transition");
            assert_eq!(transition.from, before);
            assert_eq!(transition.to, status.as_str());
            assert_eq!((transition.attempt, &transition.actor), (*attempt, actor));
            assert_eq!(transition.reason.as_deref(), *reason);
            before = Some(transition.to.clone());
        }
        assert!(expected.next().is_none(), "a transition is missing: {history:?}");
        assert!(history.transitions.is_sorted_by_key(|transition| transition.at));
    }

    /// Once nothing fails any more, the order reaches a final state, whatever happened before.
    async fn reach_final_state(&mut self) {
        let calm = [
            Step::Crash(0),
            Step::Crash(1),
            Step::TimePasses,
            Step::Reconcile { dispatches: true },
            Step::Claim { worker: 0, age: 0 },
            Step::Intend(0),
            Step::Confirm(0, Bank::Charges),
            Step::Finish(0, Ending::Retry),
        ];
        for step in calm {
            let before = self.row.clone();
            self.take(step).await;
            self.check(&before, step).await;
        }
        assert!(self.row.status.is_final(), "stuck: {:?}", self.row);
    }
}

/// A worker as a history has it.
fn name(worker: usize) -> String {
    format!("worker:{worker}")
}

#[test]
fn no_interleaving_and_no_crash_loses_an_order_or_charges_it_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    runtime.block_on(fixture.sql.batch_execute(BEFORE_CLAIM)).unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 256,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 1..40);
    let outcome = runner.run(&(any::<bool>(), steps), |(paid, steps)| {
        let run = async {
            let mut world = World::new(&fixture, paid).await;
            for step in steps {
                let before = world.row.clone();
                world.take(step).await;
                world.check(&before, step).await;
            }
            world.reach_final_state().await;
        };
        runtime.block_on(run);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, steps)) = &outcome {
        panic!("{why}\nafter {steps:#?}");
    }
    outcome.unwrap();
}
