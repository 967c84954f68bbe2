//! Concurrent replicas migrate once, and the schema accepts exactly the values of `domain`.

use domain::{OrderStatus, PaymentMethod, PaymentStatus};
use throughline_store::{Schema, Settlement, StoreError};

use crate::settlement::unsettled;
use crate::setup::Fixture;

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let database = testkit::database().await.unwrap();
    let replicas: Vec<_> = (0..8)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { throughline_store::migrate(&url).await })
        })
        .collect();
    let mut applied = Vec::new();
    for replica in replicas {
        applied.push(replica.await.unwrap().unwrap());
    }
    applied.retain(|versions| !versions.is_empty());
    assert_eq!(applied.len(), 1, "{applied:?}");
    assert!(
        throughline_store::migrate(database.url())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn the_lock_does_not_outlive_the_migration() {
    let fixture = Fixture::new().await;
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    testkit::eventually("the lock to go", std::time::Duration::from_secs(60), async || {
        let row = fixture.sql.query_one(held, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let url = format!("postgres://127.0.0.1:{}/orders", testkit::free_port().unwrap());
    let error = throughline_store::migrate(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

macro_rules! migration {
    ($name:literal) => {
        (
            include_str!(concat!("../../migrations/", $name, "/up.sql")),
            include_str!(concat!("../../migrations/", $name, "/down.sql")),
        )
    };
}

/// Up and down, oldest first.
const MIGRATIONS: [(&str, &str); 16] = [
    migration!("2026-11-22-000001_create_orders"),
    migration!("2026-11-22-000002_create_idempotency_keys"),
    migration!("2026-11-24-000001_add_claim_token"),
    migration!("2026-11-27-000101_settle_payments"),
    migration!("2026-11-27-000102_validate_settled_payments"),
    migration!("2026-11-27-000103_index_of_status"),
    migration!("2026-11-27-000104_index_unsettled"),
    migration!("2026-11-27-000201_create_leases"),
    migration!("2026-11-27-000202_index_attempted_orders"),
    migration!("2026-11-27-000301_version_fingerprints"),
    migration!("2026-11-27-000501_create_order_totals"),
    migration!("2026-11-27-000502_index_completed"),
    migration!("2026-11-27-000503_add_erased_at"),
    migration!("2026-11-27-000601_index_of_status_c"),
    migration!("2026-11-27-000602_drop_index_of_status"),
    migration!("2026-11-27-000701_add_history"),
];

#[tokio::test]
async fn up_restores_what_down_removes() {
    let fixture = Fixture::new().await;
    for (_, down) in MIGRATIONS.iter().rev() {
        fixture.sql.batch_execute(down).await.unwrap();
    }
    for (up, _) in MIGRATIONS {
        fixture.sql.batch_execute(up).await.unwrap();
    }
    fixture.order().await;
}

/// A database of the first release, and one from when the first migration had the column of the third.
#[tokio::test]
async fn a_database_of_an_older_release_gets_the_missing_migrations() {
    for alteration in ["", "ALTER TABLE orders ADD COLUMN claim_token uuid;"] {
        let fixture = Fixture::new().await;
        make_older(&fixture).await;
        fixture.sql.batch_execute(alteration).await.unwrap();

        let applied = throughline_store::migrate(fixture.database.url()).await;
        assert_eq!(applied.unwrap(), ["20261124000001"], "{alteration}");
        let order = fixture.order().await;
        fixture.claim(&order).await;
    }
}

/// Takes the third migration back, which alters `orders`.
async fn make_older(fixture: &Fixture) {
    let (_, undo) = MIGRATIONS[2];
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = '20261124000001';";
    fixture
        .sql
        .batch_execute(&format!("{undo} {forget}"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_migration_that_waits_for_a_lock_does_not_block_the_orders() {
    let fixture = Fixture::new().await;
    make_older(&fixture).await;
    let reader = fixture.database.connect().await.unwrap();
    let read = "SET application_name = 'reader'; BEGIN; SELECT 'a secret' FROM orders LIMIT 1";
    reader.batch_execute(read).await.unwrap();

    let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let url = fixture.database.url().to_owned();
    let migration = tokio::spawn(async move {
        let report = move |line: &str| drop(report.send(line.to_owned()));
        throughline_store::migrate_reporting(&url, report).await
    });
    let waits = reports.recv().await.unwrap();
    assert!(waits.contains("(reader, idle in transaction)"), "{waits}");
    assert!(!waits.contains("secret"), "{waits}");
    // Beside its attempts, and between them.
    for _ in 0..20 {
        fixture.order().await;
    }
    while !reports.recv().await.unwrap().contains("lock timeout") {}
    fixture.order().await;
    assert!(!migration.is_finished());

    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(migration.await.unwrap().unwrap(), ["20261124000001"]);
}

#[tokio::test]
async fn an_index_whose_build_was_aborted_is_built_again() {
    let fixture = Fixture::new().await;
    let aborted =
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_not_completed'::regclass;
        DELETE FROM __diesel_schema_migrations WHERE version = '20261127000711';";
    fixture.sql.batch_execute(aborted).await.unwrap();
    let applied = throughline_store::migrate(fixture.database.url()).await;
    assert_eq!(applied.unwrap(), ["20261127000711"]);
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_not_completed'::regclass";
    assert!(fixture.sql.query_one(valid, &[]).await.unwrap().get::<_, bool>(0));
}

/// Release 0.1 left final orders with a pending payment.
#[tokio::test]
async fn a_constraint_that_old_rows_break_is_validated_once_they_are_settled() {
    let fixture = Fixture::new().await;
    let ids = unsettled(&fixture, &[OrderStatus::Failed]).await;
    let is_validated = async || -> bool {
        throughline_store::migrate(fixture.database.url()).await.unwrap();
        let validated = "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_final_is_settled'";
        fixture.sql.query_one(validated, &[]).await.unwrap().get(0)
    };
    assert!(!is_validated().await);
    let settled = fixture.store.settle(ids[0], Settlement::Cancelled, None);
    assert!(settled.await.unwrap());
    assert!(is_validated().await);
}

#[tokio::test]
async fn a_schema_without_the_newest_migration_is_outdated_and_not_ready() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.schema().await.unwrap(), Schema::Current);
    let newer = "INSERT INTO __diesel_schema_migrations VALUES ('99991231000001')";
    fixture.sql.batch_execute(newer).await.unwrap();
    assert_eq!(
        fixture.store.schema().await.unwrap(),
        Schema::Current,
        "a newer version migrated"
    );
    fixture.store.ping().await.unwrap();

    let older = "DELETE FROM __diesel_schema_migrations WHERE version IN \
        (SELECT version FROM __diesel_schema_migrations ORDER BY version DESC LIMIT 1 OFFSET 1)";
    fixture.sql.batch_execute(older).await.unwrap();
    assert_eq!(fixture.store.schema().await.unwrap(), Schema::Outdated);
    let error = fixture.store.ping().await.unwrap_err();
    assert!(
        matches!(error, StoreError::NotReady("its schema is outdated")),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_schema_accepts_exactly_the_values_of_the_domain() {
    let fixture = Fixture::new().await;
    let words = async |constraint: &str| -> Vec<String> {
        let definition: String = fixture
            .sql
            .query_one(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1",
                &[&constraint],
            )
            .await
            .unwrap()
            .get(0);
        definition
            .split('\'')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let statuses: Vec<_> = OrderStatus::ALL.iter().map(|word| word.as_str()).collect();
    assert_eq!(words("orders_status_check").await, of(&statuses));
    let finals: Vec<_> = OrderStatus::ALL
        .iter()
        .filter(|status| status.is_final())
        .map(|word| word.as_str())
        .collect();
    assert_eq!(words("orders_due_until_final").await, of(&finals));
    assert_eq!(words("orders_completed_when_final").await, of(&finals));
    let methods: Vec<_> = PaymentMethod::ALL.iter().map(|word| word.as_str()).collect();
    assert_eq!(words("orders_payment_method_check").await, of(&methods));
    let payments: Vec<_> = PaymentStatus::ALL.iter().map(|word| word.as_str()).collect();
    assert_eq!(words("orders_payment_status_check").await, of(&payments));
}
