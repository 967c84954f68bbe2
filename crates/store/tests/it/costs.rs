//! What orders cost PostgreSQL on their way to their end. Each statement is a transaction of its own.

use std::fs;

use domain::{Attempt, Order, OrderId};
use futures_util::future::join_all;
use testkit::Postgres;
use throughline_store::{ClaimToken, Store, StoreConfig};

use crate::setup::{MINUTE, customer, free, trace};

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
    // The connections set themselves up.
    process(&store, 1).await;

    let log = postgres.folder().join("server.log");
    for orders in [1, 16] {
        let before = fs::metadata(&log).unwrap().len();
        process(&store, orders).await;
        let text = fs::read(&log).unwrap();
        let new = String::from_utf8_lossy(&text[usize::try_from(before).unwrap()..]);
        assert_eq!(
            statements(&new),
            ["create_order", "claim_order", "complete_order"],
            "{orders} orders"
        );
    }
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

/// Creates, claims and completes orders, all of them at once in each step.
async fn process(store: &Store, orders: usize) {
    let new = (0..orders).map(|_| Order::new(OrderId::generate(), customer(), free(), trace(1)));
    let created = join_all(new.map(|order| store.create(order, MINUTE))).await;
    let created: Vec<Order> = created.into_iter().map(Result::unwrap).collect();
    let claim = async |order: &Order| {
        let (job, context) = (order.next_job(), trace(2));
        let claim = store.claim(&job, ClaimToken::draw(), "worker-1", &context, MINUTE);
        claim.await.unwrap().unwrap()
    };
    let claimed = join_all(created.iter().map(claim)).await;
    let complete = claimed
        .iter()
        .map(|order| store.complete(order.id, Attempt::FIRST, None));
    for completed in join_all(complete).await {
        completed.unwrap().unwrap();
    }
}
