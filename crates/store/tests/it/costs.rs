//! What orders cost PostgreSQL on their way to their end. Each statement is a transaction of its own.

use std::fs;

use domain::{Attempt, Failure, FailureCode, NewOrder, Order, OrderId};
use futures_util::future::join_all;
use testkit::Postgres;
use throughline_store::{Settlement, Store, StoreConfig};

use crate::setup::{MINUTE, claim_by, claim_of, customer, free, paid, trace};

/// Every statement is written to the server's log, before it runs.
const LOG_STATEMENTS: &str = "
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database());
    END $$";

#[tokio::test]
async fn sixteen_orders_at_once_take_as_many_statements_as_one() {
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    throughline_store::migrate(database.url()).await.unwrap();
    let sql = database.connect().await.unwrap();
    sql.batch_execute(LOG_STATEMENTS).await.unwrap();
    let store = Store::new(StoreConfig::new(database.url(), "store-test")).unwrap();
    let lives: [(NewOrder, Life, &[&str]); 3] = [
        (
            free(),
            Life::Completed,
            &["create_order", "claim_order", "complete_order"],
        ),
        (
            paid(),
            Life::Charged,
            &["create_order", "claim_order", "record_intent", "complete_order"],
        ),
        (
            paid(),
            Life::Declined,
            &["create_order", "claim_order", "record_intent", "end_attempt"],
        ),
    ];
    let log = postgres.folder().join("server.log");
    for (new, life, expected) in lives {
        // The connections set themselves up.
        process(&store, &new, life, 1).await;
        for orders in [1, 16] {
            let before = fs::metadata(&log).unwrap().len();
            process(&store, &new, life, orders).await;
            let text = fs::read(&log).unwrap();
            let new = String::from_utf8_lossy(&text[usize::try_from(before).unwrap()..]);
            assert_eq!(statements(&new), expected, "{orders} orders: {life:?}");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Completed,
    Charged,
    Declined,
}

/// The statements of a log, by the actions in their comments; one without a comment as it is.
fn statements(log: &str) -> Vec<&str> {
    let statements = log.lines().filter_map(|line| {
        line.split_once("LOG:  execute ")
            .or(line.split_once("LOG:  statement: "))
    });
    statements
        .map(|(_, statement)| match statement.split_once("/*action='") {
            Some((_, rest)) => rest.split('\'').next().unwrap(),
            None => statement,
        })
        .collect()
}

/// Creates orders and processes them to their end, all of them at once in each step.
async fn process(store: &Store, new: &NewOrder, life: Life, orders: usize) {
    let new = (0..orders).map(|_| Order::new(OrderId::generate(), customer(), new.clone(), trace(1)));
    let created = join_all(new.map(|order| store.create(order, MINUTE))).await;
    let created: Vec<Order> = created.into_iter().map(Result::unwrap).collect();
    let claim = async |order: &Order| {
        let (job, context) = (order.next_job(), trace(2));
        let claim = store.claim(&job, claim_by(&job), "worker-1", &context, MINUTE);
        claim.await.unwrap().unwrap()
    };
    let claimed = join_all(created.iter().map(claim)).await;
    let payment = |order: &Order| format!("pi_{}", order.id);
    if life != Life::Completed {
        let record = async |order: &Order| {
            let recorded = store
                .record_intent(claim_of(order.id, Attempt::FIRST), &payment(order))
                .await;
            assert!(recorded.unwrap());
        };
        join_all(claimed.iter().map(record)).await;
    }
    let declined = Failure::new(FailureCode::CardDeclined, "Your card was declined.");
    let end = async |order: &Order| {
        let (id, payment) = (order.id, payment(order));
        let payment = (life == Life::Charged).then_some(payment.as_str());
        let ended = match life {
            Life::Declined => {
                store
                    .fail(claim_of(id, Attempt::FIRST), &declined, Settlement::Refused)
                    .await
            }
            Life::Completed | Life::Charged => store.complete(claim_of(id, Attempt::FIRST), payment).await,
        };
        ended.unwrap().unwrap();
    };
    join_all(claimed.iter().map(end)).await;
}
