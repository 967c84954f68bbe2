//! Any interleaving of two workers, a reconciler, a customer, an operator and a Redis that loses its data,
//! with a crash between any two steps: PostgreSQL behaves as a small model, and every invariant holds after
//! every step.

use std::collections::HashMap;

use domain::{Attempt, Failure, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use throughline_store::{Changed, ClaimToken};

use crate::setup::{Fixture, MINUTE, attempt, trace};

/// What can happen next. The workers are 0 and 1.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Redis delivers a job: of the latest attempt, of an old one, or one that another worker has as well.
    Claim {
        worker: usize,
        age: usize,
    },
    Renew(usize),
    /// A charge request. The gateway's response is drawn, unless it has seen the key: then it is repeated.
    Charge(usize, Response),
    /// Records the attempt's outcome: completed if charged, failed if declined, otherwise as drawn.
    Finish(usize, Ending),
    /// The worker loses its state, between any two of its steps.
    Crash(usize),
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
enum Response {
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
    let response = prop_oneof![3 => Just(Response::Charged), 1 => Just(Response::Declined)];
    prop_oneof![
        6 => (worker.clone(), 0..3_usize).prop_map(|(worker, age)| Step::Claim { worker, age }),
        1 => worker.clone().prop_map(Step::Renew),
        4 => (worker.clone(), response).prop_map(|(worker, response)| Step::Charge(worker, response)),
        4 => (worker.clone(), ending).prop_map(|(worker, ending)| Step::Finish(worker, ending)),
        1 => worker.prop_map(Step::Crash),
        3 => Just(Step::TimePasses),
        4 => any::<bool>().prop_map(|dispatches| Step::Reconcile { dispatches }),
        1 => any::<bool>().prop_map(|recorded| Step::RedisLosesAll { recorded }),
        1 => Just(Step::DispatchNow),
        1 => Just(Step::Cancel),
        2 => Just(Step::Retry),
    ]
}

/// The expected row of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    status: OrderStatus,
    attempt: i32,
    due: bool,
}

/// An attempt that a worker holds.
#[derive(Debug, Clone)]
struct Held {
    attempt: i32,
    /// The idempotency key of its charge, as the worker read it with its claim.
    key: String,
    response: Option<Response>,
}

struct World<'a> {
    fixture: &'a Fixture,
    order: Order,
    row: Row,
    workers: [Option<Held>; 2],
    /// The attempts whose jobs are or were in Redis.
    jobs: Vec<i32>,
    /// The gateway's response to each key: it charges once per key.
    ledger: HashMap<String, Response>,
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
        let charged = |response: &&Response| **response == Response::Charged;
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

    /// Applies the step to PostgreSQL and to the model; both must agree on whether it has an effect.
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
            Step::Charge(worker, response) => self.charge(worker, response),
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
            Step::RedisLosesAll { recorded } => {
                self.jobs.clear();
                if recorded {
                    store.dispatch_all_now().await.unwrap();
                    self.row.due |= self.row.status == OrderStatus::Pending;
                }
            }
            Step::DispatchNow => {
                store.dispatch_now(id).await.unwrap();
                self.row.due |= self.row.status == OrderStatus::Pending;
            }
            Step::Retry => {
                let retried = store.retry(id).await.unwrap();
                let may = self.row.status == OrderStatus::Failed;
                assert_eq!(matches!(retried, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Pending, true);
                }
            }
            Step::Cancel => {
                let cancelled = store.cancel(id, None).await.unwrap();
                let untried = self.row.attempt == 0 || !self.is_paid();
                let may = self.row.status == OrderStatus::Pending && untried;
                assert_eq!(matches!(cancelled, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Cancelled, false);
                }
            }
        }
    }

    fn charge(&mut self, worker: usize, response: Response) {
        let paid = self.is_paid();
        let Some(held) = &mut self.workers[worker] else {
            return;
        };
        held.response = Some(if paid {
            *self.ledger.entry(held.key.clone()).or_insert(response)
        } else {
            // Nothing to charge: the attempt has succeeded.
            Response::Charged
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
                key: claim.charge_key(),
                response: None,
            });
        }
    }

    async fn finish(&mut self, worker: usize, ending: Ending) {
        let Some(held) = self.workers[worker].take() else {
            return;
        };
        let (store, id, this) = (&self.fixture.store, self.id(), attempt(held.attempt));
        let why = Failure::new(FailureCode::PaymentTimeout, "No response.");
        let payment = self.is_paid().then_some("pi_1");
        let (written, status, due) = match (held.response, ending) {
            (Some(Response::Charged), _) => {
                let done = store.complete(id, this, payment).await.unwrap();
                (done.is_some(), OrderStatus::Completed, false)
            }
            (Some(Response::Declined), _) => {
                let why = Failure::new(FailureCode::CardDeclined, "Declined.");
                let failed = store.fail(id, this, &why, true).await.unwrap();
                (failed.is_some(), OrderStatus::Failed, false)
            }
            (None, Ending::Retry) => {
                let later = store.back_off(id, this, &why, MINUTE * 600).await.unwrap();
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

    /// The row equals the model's, and the invariants hold. Only an operator's retry leads out of a final
    /// state, and only out of failed.
    async fn check(&self, before: Row, step: Step) {
        let order = self.fixture.find(self.id()).await;
        let due_in = self.fixture.due_in(self.id()).await;
        let row = Row {
            status: order.status,
            attempt: order.attempt.number(),
            due: due_in.is_some_and(|seconds| seconds <= 0.0),
        };
        assert_eq!(row, self.row);
        let retried = matches!(step, Step::Retry) && before.status == OrderStatus::Failed;
        assert!(
            !before.status.is_final() || row == before || retried,
            "a final state was left"
        );
        assert_eq!(
            due_in.is_none(),
            row.status.is_final(),
            "an unfinished order is never due"
        );
        assert!(self.charges() <= 1, "charged twice: {:?}", self.ledger);
        let charged = order.payment_status == PaymentStatus::Charged;
        let completed = row.status == OrderStatus::Completed;
        assert_eq!(completed && self.is_paid(), charged);
        assert!(!charged || self.charges() == 1, "completed, and never charged");
        let cancelled = row.status == OrderStatus::Cancelled;
        assert!(!cancelled || self.charges() == 0, "a charged order was cancelled");
    }

    /// Once nothing fails any more, the order reaches a final state, whatever happened before.
    async fn reach_final_state(&mut self) {
        let calm = [
            Step::Crash(0),
            Step::Crash(1),
            Step::TimePasses,
            Step::Reconcile { dispatches: true },
            Step::Claim { worker: 0, age: 0 },
            Step::Charge(0, Response::Charged),
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
