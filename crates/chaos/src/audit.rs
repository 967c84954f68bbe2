//! The orders as PostgreSQL has them. A trigger that chaos adds records every write to an order that was
//! final already, except an operator's retry.

use std::time::Duration;

use chrono::{DateTime, Utc};
use testkit::Database;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::history;

const RECORD_WRITES: &str = "
    CREATE TABLE changed_when_final (id uuid NOT NULL);
    CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO changed_when_final VALUES (OLD.id); RETURN NULL; END $$;
    CREATE TRIGGER record_change AFTER UPDATE ON orders FOR EACH ROW
        WHEN (OLD.status IN ('completed', 'failed', 'cancelled')
              AND NOT (OLD.status = 'failed' AND NEW.status = 'pending'
                       AND NEW.attempts_forgiven = NEW.attempt AND NEW.dispatch_after = NEW.updated_at))
        EXECUTE FUNCTION record_change();";

/// Whether an order is final.
macro_rules! is_final {
    () => {
        "completed_at IS NOT NULL"
    };
}

/// Whether an order is final although money may still move, by its row.
macro_rules! is_unsettled {
    () => {
        concat!("(", is_final!(), " AND payment_status = 'pending')")
    };
}

const READ: &str = concat!(
    "SELECT id, items->0->>'product_name' AS name, status, payment_status, payment_id, failure_code,
           failure_detail, attempt, created_at, completed_at, payment_method IS NOT NULL AS has_payment,
           coalesce(history, '') AS history, ",
    is_unsettled!(),
    " AS unsettled,
           (SELECT count(*) FROM changed_when_final AS c WHERE c.id = orders.id) AS changed
    FROM orders WHERE items->0->>'product_name' LIKE $1"
);

/// Of the orders from an id on. `open` are those payments of final orders that are in a list of open intents.
const COUNT: &str = concat!(
    "SELECT count(*) AS orders, count(*) FILTER (WHERE ",
    is_final!(),
    ") AS final, count(*) FILTER (WHERE ",
    is_unsettled!(),
    ") AS unsettled, count(*) FILTER (WHERE NOT (",
    is_final!(),
    ") AND created_at < now() - make_interval(secs => $3)) AS stuck, coalesce(array_agg(payment_id) FILTER (WHERE ",
    is_final!(),
    " AND payment_id = ANY($2)), '{}') AS open FROM orders WHERE id >= $1"
);

const MISSING: &str = "
    SELECT accepted FROM unnest($1::uuid[]) AS accepted
    WHERE NOT EXISTS (SELECT 1 FROM orders WHERE id = accepted)";

/// What PostgreSQL has of the orders of a running service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub orders: u64,
    /// Those in a final state.
    pub finals: u64,
    /// Final orders whose row says that money may still move.
    pub unsettled: u64,
    /// Orders that are not final after the time that the caller named.
    pub stuck: u64,
    /// The payments of final orders among the intents that were open before; settled by now, or unsettled.
    pub open: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct OrderRow {
    pub(crate) id: Uuid,
    /// Of one client each.
    pub(crate) name: String,
    pub(crate) status: String,
    pub(crate) has_payment: bool,
    pub(crate) payment_status: String,
    pub(crate) payment_id: Option<String>,
    pub(crate) failure_code: Option<String>,
    pub(crate) failure_detail: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) created_at: DateTime<Utc>,
    /// When it became final.
    pub(crate) completed_at: Option<DateTime<Utc>>,
    /// Its transitions, as they are stored.
    pub(crate) history: String,
    /// Final, although money may still move, by this row.
    pub(crate) is_unsettled: bool,
    /// How many writes it got after it was final.
    pub(crate) changed_when_final: i64,
}

impl From<Row> for OrderRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.get("id"),
            name: row.get("name"),
            status: row.get("status"),
            has_payment: row.get("has_payment"),
            payment_status: row.get("payment_status"),
            payment_id: row.get("payment_id"),
            failure_code: row.get("failure_code"),
            failure_detail: row.get("failure_detail"),
            attempt: row.get("attempt"),
            created_at: row.get("created_at"),
            completed_at: row.get("completed_at"),
            history: row.get("history"),
            is_unsettled: row.get("unsettled"),
            changed_when_final: row.get("changed"),
        }
    }
}

impl OrderRow {
    /// Not final.
    pub(crate) fn is_stuck(&self) -> bool {
        self.completed_at.is_none()
    }

    /// Final, with a history that does not lead there.
    pub(crate) fn has_broken_history(&self) -> bool {
        let final_at = self.completed_at;
        final_at.is_some_and(|at| !history::is_sound(&self.history, &self.status, at))
    }

    /// Whether an operator retried it.
    pub(crate) fn is_retried(&self) -> bool {
        history::last_retry(&self.history).is_some()
    }

    /// Whether an operator retried it after this time.
    pub(crate) fn is_retried_after(&self, time: DateTime<Utc>) -> bool {
        history::last_retry(&self.history).is_some_and(|at| at > time)
    }

    /// The time from `start` to its final state; none if it was final before, or is not.
    pub(crate) fn final_within(&self, start: DateTime<Utc>) -> Duration {
        let took = self.completed_at.map(|at| at - start);
        took.and_then(|took| took.to_std().ok()).unwrap_or_default()
    }

    /// Why it failed, unless its card was declined.
    pub(crate) fn gave_up(&self) -> Option<String> {
        let code = self.failure_code.as_deref().unwrap_or_default();
        let gave_up = self.status == "failed" && code != "card_declined";
        let detail = self.failure_detail.as_deref().unwrap_or_default();
        gave_up.then(|| format!("order {} gave up: {code}: {detail}", self.id))
    }
}

/// Counts the orders whose ids are `first` or greater. An order is stuck if it is not final after
/// `stuck_after`.
///
/// # Errors
/// PostgreSQL is unavailable.
pub async fn count(
    sql: &Client,
    first: Uuid,
    open_intents: &[&str],
    stuck_after: Duration,
) -> Result<Counts, tokio_postgres::Error> {
    let row = sql
        .query_one(COUNT, &[&first, &open_intents, &stuck_after.as_secs_f64()])
        .await?;
    let number = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    Ok(Counts {
        orders: number("orders"),
        finals: number("final"),
        unsettled: number("unsettled"),
        stuck: number("stuck"),
        open: row.get("open"),
    })
}

/// The accepted orders that PostgreSQL does not have: they are lost.
///
/// # Errors
/// PostgreSQL is unavailable.
pub async fn missing(sql: &Client, accepted: &[Uuid]) -> Result<Vec<Uuid>, tokio_postgres::Error> {
    let rows = sql.query(MISSING, &[&accepted]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The longest time from an order's creation to its final state.
pub(crate) fn longest<'a>(orders: impl Iterator<Item = &'a OrderRow>) -> Duration {
    let times = orders.map(|order| order.final_within(order.created_at));
    times.max().unwrap_or_default()
}

/// The product name of a client's order, by which it is found again.
pub(crate) fn product_name(round: usize, client: u32) -> String {
    format!("round {round}, client {client}")
}

/// From now on, records every write to a final order.
pub(crate) async fn record_writes_to_final_orders(database: &Database) -> anyhow::Result<()> {
    Ok(database.connect().await?.batch_execute(RECORD_WRITES).await?)
}

/// The round's orders.
pub(crate) async fn read(database: &Database, round: usize) -> anyhow::Result<Vec<OrderRow>> {
    let sql = database.connect().await?;
    let rows = sql.query(READ, &[&format!("round {round}, %")]).await?;
    Ok(rows.into_iter().map(OrderRow::from).collect())
}
