//! Statements whose cost must not grow with the number of orders, where the wanted ones are the oldest.

use domain::OrderStatus;
use throughline_store::{Store, StoreConfig};

use crate::settlement::unsettled;
use crate::setup::{Fixture, MINUTE};

/// The failures of an old incident, and everything that was completed since.
const ORDERS: &str = "
    INSERT INTO orders (id, amount, customer, currency, payment_status, items, status, completed_at,
        failure_code, failure_detail)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 1, 'ada', 'USD', 'not_required', '[]',
        CASE WHEN n <= 2000 THEN 'failed' ELSE 'completed' END, now(),
        CASE WHEN n <= 2000 THEN 'payment_timeout' END, CASE WHEN n <= 2000 THEN '' END
    FROM generate_series(1, 40000) AS n;";

#[tokio::test]
async fn an_old_incidents_failures_and_unsettled_payments_are_found_without_reading_the_rest() {
    let fixture = Fixture::new().await;
    fixture.sql.batch_execute(ORDERS).await.unwrap();
    let ids = unsettled(&fixture, &[OrderStatus::Failed; 3]).await;
    fixture.sql.batch_execute("ANALYZE orders").await.unwrap();
    let count = async |what: &str| -> i64 { fixture.sql.query_one(what, &[]).await.unwrap().get(0) };
    for plan in ["force_generic_plan", "force_custom_plan"] {
        let set = format!(
            "SELECT pg_stat_reset();
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = {plan}', current_database()); END $$"
        );
        fixture.sql.batch_execute(&set).await.unwrap();
        let store = Store::new(StoreConfig::new(fixture.database.url(), "store-test")).unwrap();
        let first = store
            .list(None, Some(OrderStatus::Failed), None, 20)
            .await
            .unwrap();
        let last = first[19].as_ref().map_or_else(|row| row.id, |order| order.id);
        let second = store.list(None, Some(OrderStatus::Failed), Some(last), 20).await;
        assert_eq!(second.unwrap().len(), 20);
        assert_eq!(store.unsettled(None, 10).await.unwrap().len(), ids.len());
        // A connection reports its statistics when it ends, if not before.
        drop(store);
        let scans = "SELECT (pg_stat_get_numscans('orders_of_status'::regclass) \
            + pg_stat_get_numscans('orders_unsettled'::regclass))::int8";
        testkit::eventually("scans of both indexes", MINUTE, async || {
            (count(scans).await >= 3).then_some(())
        })
        .await;
        let read =
            "SELECT (idx_tup_fetch + seq_tup_read)::int8 FROM pg_stat_user_tables WHERE relname = 'orders'";
        let read = count(read).await;
        assert!(read < 100, "{plan}: {read} rows read");
    }
}
