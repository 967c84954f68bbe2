//! Any interleaving of two workers, a reconciler, a customer and a Redis that forgets, with a crash between any two steps: PostgreSQL
//! does what a model of a few lines says, and every promise holds after every step.

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
    /// The gateway charges; it knows the order by its id, and charges once.
    Charge(usize),
    /// Writes what came of the attempt: completed where it was charged, else what is drawn.
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
    Cancel,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Retry,
    Fail,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..2_usize;
    let ending = prop_oneof![
        Just(Ending::Retry),
        Just(Ending::Fail),
        Just(Ending::Release)
    ];
    prop_oneof![
        6 => (worker.clone(), 0..3_usize).prop_map(|(worker, age)| Step::Claim { worker, age }),
        1 => worker.clone().prop_map(Step::Renew),
        4 => worker.clone().prop_map(Step::Charge),
        4 => (worker.clone(), ending).prop_map(|(worker, ending)| Step::Finish(worker, ending)),
        1 => worker.prop_map(Step::Crash),
        3 => Just(Step::TimePasses),
        4 => any::<bool>().prop_map(|dispatches| Step::Reconcile { dispatches }),
        1 => any::<bool>().prop_map(|noticed| Step::RedisLosesAll { noticed }),
        1 => Just(Step::Cancel),
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
#[derive(Debug, Clone, Copy)]
struct Held {
    attempt: i32,
    charged: bool,
}

struct World<'a> {
    fixture: &'a Fixture,
    order: Order,
    row: Row,
    workers: [Option<Held>; 2],
    /// The attempts whose jobs are in Redis, or were.
    jobs: Vec<i32>,
    charges: u32,
}

impl World<'_> {
    async fn new(fixture: &Fixture) -> World<'_> {
        fixture
            .sql
            .execute("DELETE FROM orders", &[])
            .await
            .unwrap();
        World {
            order: fixture.paid_order().await,
            fixture,
            row: Row {
                status: OrderStatus::Pending,
                attempt: 0,
                due: false,
            },
            workers: [None; 2],
            jobs: vec![1],
            charges: 0,
        }
    }

    fn id(&self) -> OrderId {
        self.order.id
    }

    fn holds(&self, held: Held) -> bool {
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
                let Some(held) = self.workers[worker] else {
                    return;
                };
                let renewed = store
                    .renew(id, attempt(held.attempt), MINUTE)
                    .await
                    .unwrap();
                assert_eq!(renewed, self.holds(held));
                self.row.due &= !renewed;
            }
            Step::Charge(worker) => {
                if let Some(held) = &mut self.workers[worker] {
                    held.charged = true;
                    // By its idempotency key.
                    self.charges = 1;
                }
            }
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
            Step::Cancel => {
                let cancelled: Cancelled = store.cancel(id, None).await.unwrap();
                let may = self.row.status == OrderStatus::Pending && self.row.attempt == 0;
                assert_eq!(matches!(cancelled, Changed::Done(_)), may);
                if may {
                    self.becomes(OrderStatus::Cancelled, false);
                }
            }
        }
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
        if claim.is_some() {
            self.row.attempt = number;
            self.becomes(OrderStatus::Processing, false);
            self.workers[worker] = Some(Held {
                attempt: number,
                charged: false,
            });
        }
    }

    async fn finish(&mut self, worker: usize, ending: Ending) {
        let Some(held) = self.workers[worker].take() else {
            return;
        };
        let (store, id, this) = (&self.fixture.store, self.id(), attempt(held.attempt));
        let why = Failure::new(FailureCode::PaymentTimeout, "No answer.");
        let (written, status, due) = match ending {
            _ if held.charged => {
                let done = store.complete(id, this, Some("pi_1")).await.unwrap();
                (done.is_some(), OrderStatus::Completed, false)
            }
            Ending::Retry => {
                let later = store
                    .retry_later(id, this, &why, MINUTE * 600)
                    .await
                    .unwrap();
                (later.is_some(), OrderStatus::Pending, false)
            }
            Ending::Fail => {
                let failed = store.fail(id, this, &why, false).await.unwrap();
                (failed.is_some(), OrderStatus::Failed, false)
            }
            Ending::Release => {
                let released = store.release(id, this).await.unwrap();
                (released.is_some(), OrderStatus::Pending, true)
            }
        };
        assert_eq!(written, self.holds(held), "only the holder writes");
        if written {
            self.becomes(status, due);
        }
    }

    /// The row is what the model says, and what was promised holds.
    async fn check(&self, before: Row) {
        let order = self.fixture.find(self.id()).await;
        let due_in = self.fixture.due_in(self.id()).await;
        let row = Row {
            status: order.status,
            attempt: order.attempt.number(),
            due: due_in.is_some_and(|seconds| seconds <= 0.0),
        };
        assert_eq!(row, self.row);
        assert!(
            !before.status.is_final() || row == before,
            "a final state was left"
        );
        assert_eq!(
            due_in.is_none(),
            row.status.is_final(),
            "nobody would look at it again"
        );
        assert!(self.charges <= 1);
        let charged = order.payment_status == PaymentStatus::Charged;
        assert_eq!(row.status == OrderStatus::Completed, charged);
        assert!(
            !charged || self.charges == 1,
            "completed, and never charged"
        );
        let cancelled = row.status == OrderStatus::Cancelled;
        assert!(
            !cancelled || self.charges == 0,
            "a charged order was cancelled"
        );
    }

    /// When nothing breaks any more, the order ends: whatever happened before.
    async fn settle(&mut self) {
        let calm = [
            Step::Crash(0),
            Step::Crash(1),
            Step::TimePasses,
            Step::Reconcile { dispatches: true },
            Step::Claim { worker: 0, age: 0 },
            Step::Charge(0),
            Step::Finish(0, Ending::Retry),
        ];
        for step in calm {
            self.take(step).await;
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
    let outcome = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        let run = async {
            let mut world = World::new(&fixture).await;
            for step in steps {
                let before = world.row;
                world.take(step).await;
                world.check(before).await;
            }
            let before = world.row;
            world.settle().await;
            world.check(before).await;
        };
        runtime.block_on(run);
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, steps)) = &outcome {
        panic!("{why}\nafter {steps:#?}");
    }
    outcome.unwrap();
}
