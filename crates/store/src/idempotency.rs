//! Idempotent creation. One statement writes the idempotency key and the order, so neither exists without the
//! other. A request does not wait for another one with the same key: it is reported as in flight.

use std::sync::Arc;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::{CustomerId, Order};

use crate::batches::insert::NewOrder;
use crate::batches::insert_once::{InsertOrdersOnce, KEY_TTL, NewOrderOnce, Stored};
use crate::error::StoreError;
use crate::pg::expressions::limit_of;
use crate::row::OrderRow;
use crate::schema::{idempotency_keys, orders};
use crate::store::Store;

telemetry::statement! {
    SelectFirstOrder: "SELECT" "idempotency_keys", action "find_first_order", framework "actix-web";
    SelectKeyOfOrder: "SELECT" "idempotency_keys", action "find_key_of_order", framework "actix-web";
    DeleteExpiredKeys: "DELETE" "idempotency_keys", action "delete_expired_keys", framework "apalis";
}

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
        let order = Arc::new(order);
        let item = NewOrderOnce {
            new: NewOrder {
                order: Arc::clone(&order),
                grace,
            },
            key: once.key.0.clone(),
            fingerprint: once.fingerprint,
            fingerprint_version: once.fingerprint_version,
        };
        let stored = self
            .batched::<InsertOrdersOnce>(&self.calls.create_once, item)
            .await?;
        match stored {
            Stored::Created(created_at) => {
                let order = Arc::unwrap_or_clone(order).as_created(created_at);
                Ok(CreatedOnce::New(Box::new(order)))
            }
            Stored::KeyUsed => self.replay(&order.customer, once).await,
            Stored::KeyLocked => Ok(CreatedOnce::InFlight),
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
                Err(StoreError::corrupt(error))
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

    /// The key of the request that created the order, until its TTL ends.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn idempotency_key_of(&self, order: &Order) -> Result<Option<String>, StoreError> {
        // A key has the creation time of its order, which has an index.
        let query = idempotency_keys::table
            .filter(idempotency_keys::created_at.eq(order.created_at))
            .filter(idempotency_keys::order_id.eq(order.id.as_uuid()))
            .select(idempotency_keys::key);
        self.pg.row::<SelectKeyOfOrder, _, _>(query).await
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
