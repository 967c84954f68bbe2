//! What PostgreSQL says became of the orders. A trigger of our own notes every write to an order that was final already.

use std::time::Duration;

use chrono::{DateTime, Utc};
use testkit::Database;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::load::product;

const WATCH: &str = "
    CREATE TABLE changed_when_final (id uuid NOT NULL);
    CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO changed_when_final VALUES (OLD.id); RETURN NULL; END $$;
    CREATE TRIGGER note_change AFTER UPDATE ON orders FOR EACH ROW
        WHEN (OLD.status IN ('completed', 'failed', 'cancelled')) EXECUTE FUNCTION note_change();";

const READ: &str = "
    SELECT id, status, payment_status, payment_id, failure_code, failure_detail, attempt, created_at, completed_at,
           (SELECT count(*) FROM changed_when_final AS c WHERE c.id = orders.id) AS changed
    FROM orders WHERE items->0->>'product_name' = $1";

/// An order's row.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) status: String,
    pub(crate) payment_status: String,
    pub(crate) payment_id: Option<String>,
    pub(crate) failure_code: Option<String>,
    pub(crate) failure_detail: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) created_at: DateTime<Utc>,
    /// When it became final.
    pub(crate) completed_at: Option<DateTime<Utc>>,
    /// How often it was written to after it was final.
    pub(crate) changed_when_final: i64,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            status: row.get("status"),
            payment_status: row.get("payment_status"),
            payment_id: row.get("payment_id"),
            failure_code: row.get("failure_code"),
            failure_detail: row.get("failure_detail"),
            attempt: row.get("attempt"),
            created_at: row.get("created_at"),
            completed_at: row.get("completed_at"),
            changed_when_final: row.get("changed"),
        }
    }
}

impl Stored {
    /// Whether it is not final.
    pub(crate) fn is_stuck(&self) -> bool {
        self.completed_at.is_none()
    }

    /// Why it failed, where that was not its card.
    pub(crate) fn gave_up(&self) -> Option<String> {
        let code = self.failure_code.as_deref().unwrap_or_default();
        let gave_up = self.status == "failed" && code != "card_declined";
        let detail = self.failure_detail.as_deref().unwrap_or_default();
        gave_up.then(|| format!("order {} gave up: {code}: {detail}", self.id))
    }
}

/// Notes every write to a final order from now on.
pub(crate) async fn watch_final_states(database: &Database) -> anyhow::Result<()> {
    Ok(database.connect().await?.batch_execute(WATCH).await?)
}

/// The round's orders.
pub(crate) async fn read(database: &Database, round: usize) -> anyhow::Result<Vec<Stored>> {
    let sql = database.connect().await?;
    let rows = sql.query(READ, &[&product(round)]).await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Waits until every order is final, or `patience` is over.
pub(crate) async fn settle(database: &Database, patience: Duration) -> anyhow::Result<()> {
    let sql = database.connect().await?;
    let end = Instant::now() + patience;
    while Instant::now() < end && on_their_way(&sql).await? > 0 {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn on_their_way(sql: &Client) -> anyhow::Result<i64> {
    const COUNT: &str = "SELECT count(*) FROM orders WHERE dispatch_after IS NOT NULL";
    Ok(sql.query_one(COUNT, &[]).await?.get(0))
}
