//! Inserts new orders with their idempotency keys.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::sql_types::{Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::insert::{INSERT_NEW, NewOrder, new_rows};
use crate::error::StoreError;
use crate::pg::lane::{BatchStatement, LaneConnection};
use crate::pg::written::Written;

telemetry::statement! {
    pub(crate) InsertOrderOnce: "INSERT" "orders", action "create_order_once", framework "actix-web";
}

/// The idempotency key TTL (retention), in PostgreSQL's syntax.
pub(crate) const KEY_TTL: &str = "interval '24 h'";

/// An order to be created once, and its key.
#[derive(Debug)]
pub(crate) struct NewOrderOnce {
    pub(crate) new: NewOrder,
    pub(crate) key: String,
    /// SHA-256 of the request.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) fingerprint_version: i16,
}

/// What became of a [`NewOrderOnce`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stored {
    Created(DateTime<Utc>),
    KeyUsed,
    /// Another request holds the key.
    KeyLocked,
}

pub(crate) struct InsertOrdersOnce;

impl BatchStatement for InsertOrdersOnce {
    type Statement = InsertOrderOnce;
    type Item = NewOrderOnce;
    type Output = Stored;

    async fn run(connection: &mut LaneConnection, items: &[NewOrderOnce]) -> Result<Vec<Stored>, StoreError> {
        // A statement cannot write a key twice: of several requests with the same key, one is in flight.
        let mut keys = HashSet::new();
        let mut first = Vec::with_capacity(items.len());
        for item in items {
            if keys.insert((&item.new.order.customer, &item.key)) {
                first.push(item);
            }
        }
        let rows: Vec<(Uuid, bool, Option<DateTime<Utc>>)> =
            connection.rows::<InsertOrderOnce, _, _>(insert(&first)).await?;
        let stored: HashMap<Uuid, Stored> = rows
            .into_iter()
            .map(|(id, acquired, created_at)| {
                let stored = match created_at {
                    Some(created_at) => Stored::Created(created_at),
                    None if acquired => Stored::KeyUsed,
                    None => Stored::KeyLocked,
                };
                (id, stored)
            })
            .collect();
        let of = |item: &NewOrderOnce| stored.get(&item.new.order.id.as_uuid()).copied();
        Ok(items
            .iter()
            .map(|item| of(item).unwrap_or(Stored::KeyLocked))
            .collect())
    }
}

/// A transaction-level advisory lock shows that a request is in flight; it ends with the statement in every
/// case. Its name joins customer and key by a blank. A customer's id may contain blanks but a key may not, so
/// names are unique. No statement waits for the key of another one, so no two wait for each other.
fn insert<'a>(items: &[&'a NewOrderOnce]) -> Written<'a, (SqlUuid, Bool, Nullable<Timestamptz>)> {
    let versions = items.iter().map(|item| item.fingerprint_version);
    let new: Vec<&NewOrder> = items.iter().map(|item| &item.new).collect();
    let rows = new_rows(&new)
        .column::<Text, _>("key", items.iter().map(|item| item.key.as_str()))
        .column::<Binary, _>(
            "fingerprint",
            items.iter().map(|item| item.fingerprint.as_slice()),
        )
        .column::<SmallInt, _>("fingerprint_version", versions);
    Written::new()
        .sql("WITH new AS MATERIALIZED (SELECT * FROM ")
        .table(rows, "new")
        .sql(
            "), \
             key_lock AS MATERIALIZED (SELECT id, \
               pg_try_advisory_xact_lock(hashtextextended(customer || ' ' || key, 0)) AS acquired FROM new), \
             stored_key AS (INSERT INTO idempotency_keys \
                 (customer, key, fingerprint, fingerprint_version, order_id) \
               SELECT customer, key, fingerprint, fingerprint_version, id \
               FROM new JOIN key_lock USING (id) WHERE acquired \
               ON CONFLICT (customer, key) DO UPDATE SET \
                 fingerprint = excluded.fingerprint, \
                 fingerprint_version = excluded.fingerprint_version, \
                 order_id = excluded.order_id, \
                 created_at = excluded.created_at \
               WHERE idempotency_keys.created_at <= now() - ",
        )
        .sql(KEY_TTL)
        .sql(" RETURNING order_id), created AS (")
        .sql(INSERT_NEW)
        .sql(
            " FROM new JOIN stored_key ON order_id = id RETURNING id, created_at) \
             SELECT id, acquired, created_at FROM key_lock LEFT JOIN created USING (id)",
        )
}
