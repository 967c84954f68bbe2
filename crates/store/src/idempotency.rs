//! Idempotent creation. One statement writes the idempotency key and the order, so neither exists without the
//! other. A request does not wait for another one with the same key: it is reported as in flight.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use domain::{CustomerId, Order};
use uuid::Uuid;

use crate::create::NewRow;
use crate::error::StoreError;
use crate::pg::expressions::limit_of;
use crate::row::OrderRow;
use crate::schema::{idempotency_keys, orders};
use crate::store::Store;

telemetry::statement! {
    InsertOrderOnce: "INSERT" "orders", action "create_order_once", framework "actix-web";
    SelectFirstOrder: "SELECT" "idempotency_keys", action "find_first_order", framework "actix-web";
    DeleteExpiredKeys: "DELETE" "idempotency_keys", action "delete_expired_keys", framework "apalis";
}

/// The idempotency key TTL (retention), in PostgreSQL's syntax.
const KEY_TTL: &str = "interval '24 h'";

/// A client's idempotency key for one request: 1 to 255 visible ASCII characters (0x21 to 0x7E).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads the header's value; `None` if it is not a valid key.
    pub fn new(text: &str) -> Option<Self> {
        let visible = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        visible.then(|| Self(text.to_owned()))
    }
}

/// Identifies a request that takes effect once.
#[derive(Debug, Clone)]
pub struct Once {
    /// Unique within a customer.
    pub key: IdempotencyKey,
    /// SHA-256 of the request, to recognize a different request with the same key.
    pub fingerprint: [u8; 32],
    /// The algorithm of the fingerprint. Only fingerprints of one version are comparable.
    pub fingerprint_version: i16,
}

/// The outcome of [`Store::create_once`].
#[derive(Debug, Clone)]
pub enum CreatedOnce {
    /// This was the first request with the key: the order is new.
    New(Box<Order>),
    /// The order of the first request, as it was when it was created.
    Replayed(Box<Order>),
    /// Another request with this key is being processed.
    InFlight,
    /// The first request with this key was a different one.
    OtherRequest,
}

impl Store {
    /// As [`Store::create`], unless the customer used the key within the last 24 hours.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`], either both the key and the order are stored or neither is; repeat
    /// the call. [`StoreError::Corrupt`] if the first request's fingerprint has another version, or its order
    /// cannot be read.
    pub async fn create_once(
        &self,
        order: Order,
        grace: Duration,
        once: &Once,
    ) -> Result<CreatedOnce, StoreError> {
        let insert = CreateOnce {
            key: &once.key.0,
            fingerprint: &once.fingerprint,
            fingerprint_version: once.fingerprint_version,
            order_id: order.id.as_uuid(),
            customer: order.customer.as_str(),
            row: NewRow::new(&order, grace, " FROM stored_key"),
        };
        let row: Option<(bool, Option<DateTime<Utc>>)> = self.pg.row::<InsertOrderOnce, _, _>(insert).await?;
        match row {
            Some((true, Some(created_at))) => Ok(CreatedOnce::New(Box::new(order.as_created(created_at)))),
            Some((true, None)) => self.replay(&order.customer, once).await,
            Some((false, _)) | None => Ok(CreatedOnce::InFlight),
        }
    }

    async fn replay(&self, customer: &CustomerId, once: &Once) -> Result<CreatedOnce, StoreError> {
        let query = idempotency_keys::table
            .inner_join(orders::table.on(orders::id.eq(idempotency_keys::order_id)))
            .filter(idempotency_keys::customer.eq(customer.as_str()))
            .filter(idempotency_keys::key.eq(&once.key.0))
            .select((
                idempotency_keys::fingerprint_version,
                idempotency_keys::fingerprint,
                OrderRow::as_select(),
            ));
        let row: Option<(i16, Vec<u8>, OrderRow)> = self.pg.row::<SelectFirstOrder, _, _>(query).await?;
        match row {
            Some((version, _, _)) if version != once.fingerprint_version => {
                let error = format!("an idempotency key's fingerprint has version {version}");
                Err(StoreError::Corrupt(error.into()))
            }
            Some((_, fingerprint, row)) if fingerprint == once.fingerprint => {
                let order = Order::try_from(row)?;
                let created_at = order.created_at;
                Ok(CreatedOnce::Replayed(Box::new(order.as_created(created_at))))
            }
            Some(_) => Ok(CreatedOnce::OtherRequest),
            // The key was deleted between the two statements: the client's next request creates the order.
            None => Ok(CreatedOnce::InFlight),
        }
    }

    /// Deletes up to `limit` idempotency keys that are past their TTL; gives the number of deleted keys.
    pub async fn delete_expired_keys(&self, limit: usize) -> Result<usize, StoreError> {
        // SKIP LOCKED leaves out a row that a request is about to replace. By ctid, because a join with the
        // CTE may read the whole table; the lock keeps it as it is.
        let delete = diesel::sql_query(format!(
            "WITH expired AS MATERIALIZED (\
               SELECT ctid AS place FROM idempotency_keys WHERE created_at <= now() - {KEY_TTL} \
               ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) \
             DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(SELECT place FROM expired))"
        ));
        let delete = delete.bind::<BigInt, _>(limit_of(limit));
        self.pg.execute::<DeleteExpiredKeys, _>(delete).await
    }
}

/// A transaction-level advisory lock shows that a request is in flight; it ends with the statement in every
/// case. Its name joins customer and key by a blank. A customer's id may contain blanks but a key may not, so
/// names are unique.
struct CreateOnce<'a> {
    key: &'a str,
    fingerprint: &'a [u8],
    fingerprint_version: i16,
    order_id: Uuid,
    customer: &'a str,
    row: NewRow<'a>,
}

impl QueryFragment<Pg> for CreateOnce<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH key_lock AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended(");
        out.push_bind_param::<Text, _>(self.customer)?;
        out.push_sql(" || ' ' || ");
        out.push_bind_param::<Text, _>(self.key)?;
        out.push_sql(
            ", 0)) AS acquired), \
             stored_key AS (INSERT INTO idempotency_keys (customer, key, fingerprint, fingerprint_version, order_id) \
             SELECT ",
        );
        out.push_bind_param::<Text, _>(self.customer)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.key)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(self.fingerprint)?;
        out.push_sql(", ");
        out.push_bind_param::<SmallInt, _>(&self.fingerprint_version)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&self.order_id)?;
        out.push_sql(
            " FROM key_lock WHERE acquired ON CONFLICT (customer, key) DO UPDATE SET \
               fingerprint = excluded.fingerprint, \
               fingerprint_version = excluded.fingerprint_version, \
               order_id = excluded.order_id, \
               created_at = excluded.created_at \
             WHERE idempotency_keys.created_at <= now() - ",
        );
        out.push_sql(KEY_TTL);
        out.push_sql(" RETURNING order_id), created AS (");
        self.row.walk_ast(out.reborrow())?;
        out.push_sql(
            ") SELECT key_lock.acquired, created.created_at FROM key_lock LEFT JOIN created ON true",
        );
        Ok(())
    }
}

impl QueryId for CreateOnce<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for CreateOnce<'_> {
    type SqlType = (Bool, Nullable<Timestamptz>);
}

impl<Connection> RunQueryDsl<Connection> for CreateOnce<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_visible_ascii_characters() {
        for good in [
            "a",
            "!~",
            &"x".repeat(255),
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        ] {
            assert!(IdempotencyKey::new(good).is_some(), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a\0", "a\n", &"x".repeat(256)] {
            assert!(IdempotencyKey::new(bad).is_none(), "{bad:?}");
        }
    }
}
