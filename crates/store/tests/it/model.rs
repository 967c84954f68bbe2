//! Any interleaving of two workers, a reconciler, a customer, an operator and a Redis that forgets, with a crash between any two steps: PostgreSQL
//! does what a model of a few lines says, and every promise holds after every step.

use std::collections::HashMap;

use domain::{Attempt, Failure, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use throughline_store::{Cancelled, Changed, ClaimToken};

use crate::setup::{Fixture, MINUTE, attempt, trace};

/// What can happen next. The workers are 0 and 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Redis delivers the job of some attempt, be it an old one or one that another worker has as well.
    Claim {
        worker: usize,
        age: usize,
    },
    Renew(usize),
    /// The gateway is asked to charge, and answers as drawn, unless it answered this key before: then the same again.
    Charge(usize, Answer),
    /// Writes what came of the attempt: completed where it was charged, refused where it was declined, else what is drawn.
    Finish(usize, Ending),
    /// The worker forgets all; so between any two of its steps.
    Crash(usize),
    /// A lease or a delay ends.
    TimePasses,
    /// Takes what is due; and dies before it dispatches, or not.
    Reconcile {
        dispatches: bool,
    },
    /// Redis forgets all jobs; the reconciler notices, or dies before it can write that.
    RedisLosesAll {
        noticed: bool,
    },
    /// A dispatch failed, or so it seemed.
    DispatchNow,
    Cancel,
    /// An operator takes a failed order up again.
    Reopen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Charged,
    Declined,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Retry,
    Fail,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..2_usize;
    let ending = prop_oneof![Just(Ending::Retry), Just(Ending::Fail), Just(Ending::Release)];
    let answer = prop_oneof![3 => Just(Answer::Charged), 1 => Just(Answer::Declined)];
    prop_oneof![
        6 => (worker.clone(), 0..3_usize).prop_map(|(worker, age)| Step::Claim { worker, age }),
        1 => worker.clone().prop_map(Step::Renew),
        4 => (worker.clone(), answer).prop_map(|(worker, answer)| Step::Charge(worker, answer)),
        4 => (worker.clone(), ending).prop_map(|(worker, ending)| Step::Finish(worker, ending)),
        1 => worker.prop_map(Step::Crash),
        3 => Just(Step::TimePasses),
        4 => any::<bool>().prop_map(|dispatches| Step::Reconcile { dispatches }),
        1 => any::<bool>().prop_map(|noticed| Step::RedisLosesAll { noticed }),
        1 => Just(Step::DispatchNow),
        1 => Just(Step::Cancel),
        2 => Just(Step::Reopen),
    ]
}

/// What the order's row must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    status: OrderStatus,
    attempt: i32,
    due: bool,
}

/// An attempt in a worker's hands.
#[derive(Debug, Clone)]
struct Held {
    attempt: i32,
    /// The idempotency key of its charge, as this worker read it when it claimed.
    key: String,
    answer: Option<Answer>,
}

struct World<'a> {
    fixture: &'a Fixture,
    order: Order,
    row: Row,
    workers: [Option<Held>; 2],
    /// The attempts whose jobs are in Redis, or were.
    jobs: Vec<i32>,
    /// What the gateway answered each key: it charges once under each.
    ledger: HashMap<String, Answer>,
}

impl World<'_> {
    async fn new(fixture: &Fixture, paid: bool) -> World<'_> {
        fixture.sql.execute("DELETE FROM orders", &[]).await.unwrap();
        World {
            order: if paid {
                fixture.paid_order().await
            } else {
                fixture.order().await
            },
            fixture,
            row: Row {
                status: OrderStatus::Pending,
                attempt: 0,
                due: false,
            },
            workers: [None, None],
            jobs: vec![1],
            ledger: HashMap::new(),
        }
    }

    fn id(&self) -> OrderId {
        self.order.id
    }

    fn is_paid(&self) -> bool {
        self.order.payment_method.is_some()
    }

    fn charges(&self) -> usize {
        let charged = |answer: &&Answer| **answer == Answer::Charged;
        self.ledger.values().filter(charged).count()
    }

    fn holds(&self, held: &Held) -> bool {
        self.row.status == OrderStatus::Processing && self.row.attempt == held.attempt
    }

    fn becomes(&mut self, status: OrderStatus, due: bool) {
        self.row = Row {
            status,
            due,
            ..self.row
        };
    }

    /// Does it to PostgreSQL and to the model; both must agree on whether it had an effect.
    async fn take(&mut self, step: Step) {
        let (store, id) = (&self.fixture.store, self.id());
        match step {
            Step::Claim { worker, age } => self.claim(worker, age).await,
            Step::Renew(worker) => {
                let Some(held) = self.workers[worker].clone() else {
                    return;
                };
                let renewed = store.renew(id, attempt(held.attempt), MINUTE).await.unwrap();
                assert_eq!(renewed, self.holds(&held));
                self.row.due &= !renewed;
            }
            Step::Charge(worker, answer) => self.charge(worker, answer),
            Step::Finish(worker, ending) => self.finish(worker, ending).await,
            Step::Crash(worker) => self.workers[worker] = None,
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
                    self.becomes(OrderStatus::Pending, false);
                    if dispatches {
                        self.jobs.push(due.into_job().attempt.number());
                    }
                }
            }
            Step::RedisLosesAll { noticed } => {
                self.jobs.clear();
                if noticed {
                    store.dispatch_all_now().await.unwrap();
                    self.row.due |= self.row.status == OrderStatus::Pending;
                }
            }
            Step::DispatchNow => {
                store.dispatch_now(id).await.unwrap();
                self.row.due |= self.row.status == OrderStatus::Pending;
            }
            Step::Reopen => {
                let reopened = store.reopen(id).await.unwrap();
                let may = self.row.status == OrderStatus::Failed;
                assert_eq!(matches!(reopened, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Pending, true);
                }
            }
            Step::Cancel => {
                let cancelled: Cancelled = store.cancel(id, None).await.unwrap();
                let untried = self.row.attempt == 0 || !self.is_paid();
                let may = self.row.status == OrderStatus::Pending && untried;
                assert_eq!(matches!(cancelled, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Cancelled, false);
                }
            }
        }
    }

    fn charge(&mut self, worker: usize, answer: Answer) {
        let paid = self.is_paid();
        let Some(held) = &mut self.workers[worker] else {
            return;
        };
        held.answer = Some(if paid {
            *self.ledger.entry(held.key.clone()).or_insert(answer)
        } else {
            // Nothing is to be charged: the attempt has done its work.
            Answer::Charged
        });
    }

    async fn claim(&mut self, worker: usize, age: usize) {
        let Some(number) = self.jobs.iter().rev().nth(age).copied() else {
            return;
        };
        let mut job = self.order.next_job();
        job.attempt = Attempt::new(number);
        let claim = self
            .fixture
            .store
            .claim(&job, ClaimToken::draw(), &trace(2), MINUTE)
            .await
            .unwrap();
        let free = match self.row.status {
            OrderStatus::Pending => true,
            OrderStatus::Processing => self.row.due,
            _ => false,
        };
        assert_eq!(claim.is_some(), free && number == self.row.attempt + 1);
        if let Some(claim) = claim {
            self.row.attempt = number;
            self.becomes(OrderStatus::Processing, false);
            self.workers[worker] = Some(Held {
                attempt: number,
                key: claim.order.charge_key(),
                answer: None,
            });
        }
    }

    async fn finish(&mut self, worker: usize, ending: Ending) {
        let Some(held) = self.workers[worker].take() else {
            return;
        };
        let (store, id, this) = (&self.fixture.store, self.id(), attempt(held.attempt));
        let why = Failure::new(FailureCode::PaymentTimeout, "No answer.");
        let payment = self.is_paid().then_some("pi_1");
        let (written, status, due) = match (held.answer, ending) {
            (Some(Answer::Charged), _) => {
                let done = store.complete(id, this, payment).await.unwrap();
                (done.is_some(), OrderStatus::Completed, false)
            }
            (Some(Answer::Declined), _) => {
                let why = Failure::new(FailureCode::CardDeclined, "Declined.");
                let failed = store.fail(id, this, &why, true).await.unwrap();
                (failed.is_some(), OrderStatus::Failed, false)
            }
            (None, Ending::Retry) => {
                let later = store.retry_later(id, this, &why, MINUTE * 600).await.unwrap();
                (later.is_some(), OrderStatus::Pending, false)
            }
            (None, Ending::Fail) => {
                let failed = store.fail(id, this, &why, false).await.unwrap();
                (failed.is_some(), OrderStatus::Failed, false)
            }
            (None, Ending::Release) => {
                let released = store.release(id, this).await.unwrap();
                (released.is_some(), OrderStatus::Pending, true)
            }
        };
        assert_eq!(written, self.holds(&held), "only the holder writes");
        if written {
            self.becomes(status, due);
        }
    }

    /// The row is what the model says, and what was promised holds. Only an operator takes an order out of a final state, and only out of
    /// failed.
    async fn check(&self, before: Row, step: Step) {
        let order = self.fixture.find(self.id()).await;
        let due_in = self.fixture.due_in(self.id()).await;
        let row = Row {
            status: order.status,
            attempt: order.attempt.number(),
            due: due_in.is_some_and(|seconds| seconds <= 0.0),
        };
        assert_eq!(row, self.row);
        let reopened = matches!(step, Step::Reopen) && before.status == OrderStatus::Failed;
        assert!(
            !before.status.is_final() || row == before || reopened,
            "a final state was left"
        );
        assert_eq!(
            due_in.is_none(),
            row.status.is_final(),
            "nobody would look at it again"
        );
        assert!(self.charges() <= 1, "charged twice: {:?}", self.ledger);
        let charged = order.payment_status == PaymentStatus::Charged;
        let completed = row.status == OrderStatus::Completed;
        assert_eq!(completed && self.is_paid(), charged);
        assert!(!charged || self.charges() == 1, "completed, and never charged");
        let cancelled = row.status == OrderStatus::Cancelled;
        assert!(!cancelled || self.charges() == 0, "a charged order was cancelled");
    }

    /// When nothing breaks any more, the order ends: whatever happened before.
    async fn settle(&mut self) {
        let calm = [
            Step::Crash(0),
            Step::Crash(1),
            Step::TimePasses,
            Step::Reconcile { dispatches: true },
            Step::Claim { worker: 0, age: 0 },
            Step::Charge(0, Answer::Charged),
            Step::Finish(0, Ending::Retry),
        ];
        for step in calm {
            let before = self.row;
            self.take(step).await;
            self.check(before, step).await;
        }
        assert!(self.row.status.is_final(), "stuck: {:?}", self.row);
    }
}

#[test]
fn no_interleaving_and_no_crash_loses_an_order_or_charges_it_twice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
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
                let before = world.row;
                world.take(step).await;
                world.check(before, step).await;
            }
            world.settle().await;
        };
        runtime.block_on(run);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, steps)) = &outcome {
        panic!("{why}\nafter {steps:#?}");
    }
    outcome.unwrap();
}
