//! The totals of all orders equal a full count, whatever happens to the orders, and
//! whichever worker moves the watermark.

use std::time::Duration;

use domain::{OrderId, OrderStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use throughline_store::{Prune, StatusTotal, Store, StoreConfig, TotalsFold};
use tokio_postgres::Client;

use crate::setup::{Fixture, MINUTE, customer, draft, operator};

/// What can happen next. An order is one of those created so far, the newest first.
#[derive(Debug, Clone, Copy)]
enum Step {
    Create(usize),
    /// A worker or a customer ends an unfinished order.
    End(usize, OrderStatus),
    /// A transaction ends an order, and commits some steps later.
    EndLate(usize),
    CommitLate,
    Retry(usize),
    Prune(usize),
    /// A leader moves the watermark past some orders.
    Fold {
        leader: usize,
        limit: usize,
    },
    /// Another worker becomes the leader.
    Replace(usize),
    StoreTotals,
    /// By hand: an order that was final a year ago.
    InsertOld,
    DeleteByHand(usize),
    Truncate,
}

fn step() -> impl Strategy<Value = Step> {
    let order = 0..6_usize;
    let ending = prop_oneof![
        3 => Just(OrderStatus::Failed),
        1 => Just(OrderStatus::Completed),
        1 => Just(OrderStatus::Cancelled),
    ];
    prop_oneof![
        6 => (0..3_usize).prop_map(Step::Create),
        8 => (order.clone(), ending).prop_map(|(order, status)| Step::End(order, status)),
        2 => order.clone().prop_map(Step::EndLate),
        2 => Just(Step::CommitLate),
        5 => order.clone().prop_map(Step::Retry),
        2 => (1..3_usize).prop_map(Step::Prune),
        10 => (0..2_usize, 1..4_usize).prop_map(|(leader, limit)| Step::Fold { leader, limit }),
        1 => (0..2_usize).prop_map(Step::Replace),
        1 => Just(Step::StoreTotals),
        1 => Just(Step::InsertOld),
        1 => order.prop_map(Step::DeleteByHand),
        1 => Just(Step::Truncate),
    ]
}

fn leader() -> TotalsFold {
    TotalsFold::with_margin(Duration::ZERO)
}

struct World<'a> {
    fixture: &'a Fixture,
    orders: Vec<OrderId>,
    leaders: [TotalsFold; 2],
    late: &'a Client,
    ends_late: Option<OrderId>,
}

impl World<'_> {
    fn order(&self, index: usize) -> Option<OrderId> {
        let id = *self.orders.iter().rev().nth(index)?;
        (self.ends_late != Some(id)).then_some(id)
    }

    async fn take(&mut self, step: Step) {
        let store = &self.fixture.store;
        match step {
            Step::Create(currency) => {
                let currency = ["EUR", "JPY", "USD"][currency];
                let new = draft(&format!(
                    r#"{{"product_name":"Widget","amount":"7","currency":"{currency}"}}"#
                ));
                self.orders.push(self.fixture.create(&customer(), &new).await.id);
            }
            Step::End(order, status) => {
                if let Some(id) = self.order(order) {
                    self.end(&self.fixture.sql, id, status).await;
                }
            }
            Step::EndLate(order) => {
                if let (None, Some(id)) = (self.ends_late, self.order(order)) {
                    self.late.batch_execute("BEGIN").await.unwrap();
                    self.end(self.late, id, OrderStatus::Failed).await;
                    self.ends_late = Some(id);
                }
            }
            Step::CommitLate => {
                self.late.batch_execute("COMMIT").await.unwrap();
                self.ends_late = None;
            }
            Step::Retry(order) => {
                if let Some(id) = self.order(order) {
                    store.retry(id, &operator()).await.unwrap();
                }
            }
            Step::Prune(limit) => {
                store
                    .prune(&mut Prune::older_than(Duration::ZERO), limit)
                    .await
                    .unwrap();
            }
            Step::Fold { leader, limit } => {
                store.fold_totals(&mut self.leaders[leader], limit).await.unwrap();
            }
            Step::Replace(replaced) => self.leaders[replaced] = leader(),
            Step::StoreTotals => store.store_totals(Duration::ZERO).await.unwrap(),
            Step::InsertOld => {
                let insert = "INSERT INTO orders (id, amount, customer, currency, payment_status, items, status, \
                    completed_at) SELECT gen_random_uuid(), 5, 'ada', 'USD', 'not_required', '[]', 'completed', \
                    now() - interval '1 year'";
                self.fixture.sql.batch_execute(insert).await.unwrap();
            }
            Step::DeleteByHand(order) => {
                if let Some(id) = self.order(order) {
                    let delete = format!("DELETE FROM orders WHERE id = '{id}'");
                    self.fixture.sql.batch_execute(&delete).await.unwrap();
                }
            }
            Step::Truncate => {
                if self.ends_late.is_none() {
                    self.fixture.sql.batch_execute("TRUNCATE orders").await.unwrap();
                }
            }
        }
    }

    async fn end(&self, sql: &Client, id: OrderId, status: OrderStatus) {
        let failure = if status == OrderStatus::Failed {
            "'x'"
        } else {
            "NULL"
        };
        let update = format!(
            "UPDATE orders SET status = '{status}', dispatch_after = NULL, completed_at = now(), \
             failure_code = {failure}, failure_detail = {failure} WHERE id = '{id}' AND completed_at IS NULL"
        );
        sql.batch_execute(&update).await.unwrap();
    }

    async fn check(&self, step: Step) {
        if !matches!(step, Step::StoreTotals) {
            let forget = "UPDATE order_totals_state SET taken_at = NULL";
            self.fixture.sql.batch_execute(forget).await.unwrap();
        }
        let totals = self.fixture.store.totals(None).await.unwrap();
        assert_eq!(totals, counted(&self.fixture.sql).await);
    }
}

/// The totals by a full count.
async fn counted(sql: &Client) -> Vec<StatusTotal> {
    let count =
        "SELECT status, currency, count(*), sum(amount)::int8 FROM orders GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = sql.query(count, &[]).await.unwrap();
    let total = |row: &tokio_postgres::Row| StatusTotal {
        status: row.get(0),
        currency: row.get(1),
        count: row.get(2),
        sum: row.get(3),
    };
    rows.iter().map(total).collect()
}

#[test]
fn totals_equal_a_full_count_after_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let late = runtime.block_on(fixture.database.connect()).unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&prop::collection::vec(step(), 1..60), |steps| {
        runtime.block_on(async {
            let mut world = World {
                fixture: &fixture,
                orders: Vec::new(),
                leaders: [leader(), leader()],
                late: &late,
                ends_late: None,
            };
            late.batch_execute("ROLLBACK").await.unwrap();
            world.take(Step::Truncate).await;
            for step in steps {
                world.take(step).await;
                world.check(step).await;
            }
        });
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, steps)) = &outcome {
        panic!("{why}\nafter {steps:#?}");
    }
    outcome.unwrap();
}

/// The watermark waits for it.
#[tokio::test]
async fn an_order_that_is_committed_long_after_it_became_final_is_counted() {
    let fixture = Fixture::new().await;
    let (early, late) = (fixture.order().await.id, fixture.order().await.id);
    let other = fixture.database.connect().await.unwrap();
    other.batch_execute("BEGIN").await.unwrap();
    let complete = format!(
        "UPDATE orders SET status = 'completed', dispatch_after = NULL, completed_at = now() WHERE id = '{late}'"
    );
    other.batch_execute(&complete).await.unwrap();
    fixture.put_into(early, OrderStatus::Completed).await;
    let mut fold = leader();
    for _ in 0..5 {
        fixture.store.fold_totals(&mut fold, 10).await.unwrap();
    }
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(fixture.store.totals(None).await.unwrap()[0].count, 2);
    for _ in 0..3 {
        fixture.store.fold_totals(&mut fold, 10).await.unwrap();
    }
    let counted = "SELECT count FROM order_totals";
    let row = fixture.sql.query_one(counted, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 2, "the watermark is past both");
}

/// Of many orders that became final at the same time, each statement reads some, and a total reads none.
#[tokio::test]
async fn neither_the_watermark_nor_a_total_reads_all_orders() {
    let fixture = Fixture::new().await;
    let insert = "INSERT INTO orders (id, amount, customer, currency, payment_status, items, status, completed_at) \
        SELECT gen_random_uuid(), 1, 'ada', 'USD', 'not_required', '[]', 'completed', now() \
        FROM generate_series(1, 20000); ANALYZE orders;";
    fixture.sql.batch_execute(insert).await.unwrap();
    let mut fold = leader();
    let mut statements = 0;
    fixture.store.fold_totals(&mut fold, 1000).await.unwrap();
    while fixture.store.fold_totals(&mut fold, 1000).await.unwrap() {
        statements += 1;
    }
    assert!((19..=20).contains(&statements), "{statements}");
    let store = Store::new(StoreConfig::new(fixture.database.url(), "store-test")).unwrap();
    fixture.sql.batch_execute("SELECT pg_stat_reset()").await.unwrap();
    let totals = store.totals(None).await.unwrap();
    assert_eq!((totals[0].count, totals[0].sum), (20_000, 20_000));
    // A connection reports its statistics when it ends.
    drop(store);
    let read =
        "SELECT idx_scan, seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'orders'";
    testkit::eventually("the statistics", MINUTE, async || {
        let row = fixture.sql.query_one(read, &[]).await.unwrap();
        assert!(row.get::<_, i64>(1) < 10, "{row:?}");
        (row.get::<_, i64>(0) > 0).then_some(())
    })
    .await;
}
