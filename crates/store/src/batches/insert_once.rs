//! Inserts new orders with their idempotency keys.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::insert::{INSERT_NEW, NEW_COLUMNS, NewOrder, NewRows};
use crate::error::StoreError;
use crate::pg::lane::{BatchStatement, LaneConnection};

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
        let insert = Insert::new(&first);
        let rows: Vec<(Uuid, bool, Option<DateTime<Utc>>)> =
            connection.rows::<InsertOrderOnce, _, _>(insert).await?;
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
struct Insert<'a> {
    keys: Vec<&'a str>,
    fingerprints: Vec<&'a [u8]>,
    fingerprint_versions: Vec<i16>,
    rows: NewRows<'a>,
}

impl<'a> Insert<'a> {
    fn new(items: &[&'a NewOrderOnce]) -> Self {
        Self {
            keys: items.iter().map(|item| item.key.as_str()).collect(),
            fingerprints: items.iter().map(|item| item.fingerprint.as_slice()).collect(),
            fingerprint_versions: items.iter().map(|item| item.fingerprint_version).collect(),
            rows: NewRows::new(items.iter().map(|item| &item.new)),
        }
    }
}

impl QueryFragment<Pg> for Insert<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH new AS MATERIALIZED (SELECT * FROM unnest(");
        self.rows.push_arrays(&mut out)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.fingerprints)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SmallInt>, _>(&self.fingerprint_versions)?;
        out.push_sql(") AS new (");
        out.push_sql(NEW_COLUMNS);
        out.push_sql(
            ", key, fingerprint, fingerprint_version)), \
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
        );
        out.push_sql(KEY_TTL);
        out.push_sql(" RETURNING order_id), created AS (");
        out.push_sql(INSERT_NEW);
        out.push_sql(
            " FROM new JOIN stored_key ON order_id = id RETURNING id, created_at) \
             SELECT id, acquired, created_at FROM key_lock LEFT JOIN created USING (id)",
        );
        Ok(())
    }
}

impl QueryId for Insert<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Insert<'_> {
    type SqlType = (SqlUuid, Bool, Nullable<Timestamptz>);
}

impl<Connection> RunQueryDsl<Connection> for Insert<'_> {}
