//! Requests that must not take effect twice. The key and the order are written by one statement, so a failure between the two
//! cannot be; and a request that comes while another of its key is under way is told so instead of waiting for it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    BigInt, Binary, Bool, Interval, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};
use domain::{
    Attempt, CustomerId, NewOrder, Order, OrderId, OrderStatus, PaymentMethod, PaymentToken, TraceContext,
};
use uuid::Uuid;

use crate::create::{created, first_payment_status};
use crate::row::{ItemRow, Json, OrderRow};
use crate::schema::{idempotency_keys, orders};
use crate::{Store, StoreError};

telemetry::statement! {
    InsertOrderOnce: "INSERT" "orders", action "create_order_once", framework "actix-web";
    SelectFirstAnswer: "SELECT" "idempotency_keys", action "find_first_answer", framework "actix-web";
    ForgetKeys: "DELETE" "idempotency_keys", action "forget_keys", framework "apalis";
}

/// How long a key is kept; PostgreSQL's words for it.
const KEPT: &str = "interval '24 h'";

/// A client's name for one request: 1 to 255 visible ASCII characters (0x21 to 0x7E).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Reads a header's value; `None` where it is no key.
    pub fn new(text: &str) -> Option<Self> {
        let visible = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        visible.then(|| Self(text.to_owned()))
    }
}

/// A request that takes effect once.
#[derive(Debug, Clone)]
pub struct Once {
    /// The client's name for it; each customer has names of its own.
    pub key: IdempotencyKey,
    /// SHA-256 of what it asks for, to tell another request under the same key.
    pub fingerprint: [u8; 32],
}

/// What came of a request that takes effect once.
#[derive(Debug, Clone)]
pub enum CreatedOnce {
    /// It was the first: the order is new.
    New(Box<Order>),
    /// The order that the first one created, as it was then.
    Before(Box<Order>),
    /// Another request under this key is under way.
    InFlight,
    /// The first request under this key asked for something else.
    OtherRequest,
}

impl Store {
    /// As [`Store::create`], unless the customer's key was used within the last 24 hours.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] key and order are stored or not, both; the same call again tells.
    pub async fn create_once(
        &self,
        id: OrderId,
        customer: &CustomerId,
        order: &NewOrder,
        trace: &TraceContext,
        grace: Duration,
        once: &Once,
    ) -> Result<CreatedOnce, StoreError> {
        let grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
        let insert = CreateOnce {
            key: &once.key.0,
            fingerprint: &once.fingerprint,
            id: id.as_uuid(),
            amount: order.amount.minor(),
            grace: PgInterval::from_microseconds(grace),
            customer: customer.as_str(),
            currency: order.amount.currency().code(),
            status: OrderStatus::Pending.as_str(),
            payment_method: order.payment_method.map(PaymentMethod::as_str),
            payment_token: order.payment_token.as_ref().map(PaymentToken::reveal),
            payment_status: first_payment_status(order.payment_method).as_str(),
            items: Json(order.items.iter().map(ItemRow::from).collect()),
            trace_context: Json(trace),
        };
        let row: Option<(bool, Option<DateTime<Utc>>)> = self.row::<InsertOrderOnce, _, _>(insert).await?;
        match row {
            Some((true, Some(created_at))) => {
                let order = created(id, customer, order, trace, created_at);
                Ok(CreatedOnce::New(Box::new(order)))
            }
            Some((true, None)) => self.first_answer(customer, once).await,
            Some((false, _)) | None => Ok(CreatedOnce::InFlight),
        }
    }

    async fn first_answer(&self, customer: &CustomerId, once: &Once) -> Result<CreatedOnce, StoreError> {
        let query = idempotency_keys::table
            .inner_join(orders::table.on(orders::id.eq(idempotency_keys::order_id)))
            .filter(idempotency_keys::customer.eq(customer.as_str()))
            .filter(idempotency_keys::key.eq(&once.key.0))
            .select((idempotency_keys::fingerprint, OrderRow::as_select()));
        let row: Option<(Vec<u8>, OrderRow)> = self.row::<SelectFirstAnswer, _, _>(query).await?;
        match row {
            Some((fingerprint, order)) if fingerprint == once.fingerprint => {
                Ok(CreatedOnce::Before(Box::new(as_created(order.try_into()?))))
            }
            Some(_) => Ok(CreatedOnce::OtherRequest),
            // Forgotten at this very moment: the next try creates.
            None => Ok(CreatedOnce::InFlight),
        }
    }

    /// Deletes up to `limit` keys that are no longer kept; how many there were.
    pub async fn forget_keys(&self, limit: i64) -> Result<usize, StoreError> {
        self.run::<ForgetKeys, _>(Forget { limit }).await
    }
}

/// The order as it was when it was created.
fn as_created(order: Order) -> Order {
    Order {
        status: OrderStatus::Pending,
        payment_status: first_payment_status(order.payment_method),
        payment_id: None,
        attempt: Attempt::NONE,
        attempts_forgiven: Attempt::NONE,
        payments_refused: 0,
        failure: None,
        attempt_trace: None,
        updated_at: order.created_at,
        completed_at: None,
        ..order
    }
}

/// The advisory lock is what tells a request that is under way: it ends with the statement, whatever becomes of that. A customer's id
/// may hold blanks but a key may not, so the two joined by a blank are no other two.
struct CreateOnce<'a> {
    key: &'a str,
    fingerprint: &'a [u8],
    id: Uuid,
    amount: i64,
    grace: PgInterval,
    customer: &'a str,
    currency: &'a str,
    status: &'a str,
    payment_method: Option<&'a str>,
    payment_token: Option<&'a str>,
    payment_status: &'a str,
    items: Json<Vec<ItemRow<'a>>>,
    trace_context: Json<&'a TraceContext>,
}

impl QueryFragment<Pg> for CreateOnce<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended(");
        out.push_bind_param::<Text, _>(self.customer)?;
        out.push_sql(" || ' ' || ");
        out.push_bind_param::<Text, _>(self.key)?;
        out.push_sql(
            ", 0)) AS ours), \
             kept AS (INSERT INTO idempotency_keys (customer, key, fingerprint, order_id) SELECT ",
        );
        out.push_bind_param::<Text, _>(self.customer)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.key)?;
        out.push_sql(", ");
        out.push_bind_param::<Binary, _>(self.fingerprint)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&self.id)?;
        out.push_sql(
            " FROM turn WHERE ours ON CONFLICT (customer, key) DO UPDATE SET \
               fingerprint = excluded.fingerprint, \
               order_id = excluded.order_id, \
               created_at = excluded.created_at \
             WHERE idempotency_keys.created_at <= now() - ",
        );
        out.push_sql(KEPT);
        out.push_sql(
            " RETURNING order_id), \
             created AS (INSERT INTO orders (id, amount, dispatch_after, customer, currency, status, \
               payment_method, payment_token, payment_status, items, trace_context) SELECT order_id, ",
        );
        out.push_bind_param::<BigInt, _>(&self.amount)?;
        out.push_sql(", now() + ");
        out.push_bind_param::<Interval, _>(&self.grace)?;
        for text in [self.customer, self.currency, self.status] {
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.payment_method)?;
        out.push_sql(", ");
        out.push_bind_param::<Nullable<Text>, _>(&self.payment_token)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(self.payment_status)?;
        out.push_sql(", ");
        out.push_bind_param::<Jsonb, _>(&self.items)?;
        out.push_sql(", ");
        out.push_bind_param::<Jsonb, _>(&self.trace_context)?;
        out.push_sql(
            " FROM kept RETURNING created_at) \
             SELECT turn.ours, created.created_at FROM turn LEFT JOIN created ON true",
        );
        Ok(())
    }
}

impl QueryId for CreateOnce<'_> {
    type QueryId = CreateOnce<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl Query for CreateOnce<'_> {
    type SqlType = (Bool, Nullable<Timestamptz>);
}

impl<Connection> RunQueryDsl<Connection> for CreateOnce<'_> {}

/// The oldest keys that are past their time; a row that a request is about to take over is left alone.
#[derive(QueryId)]
struct Forget {
    limit: i64,
}

impl QueryFragment<Pg> for Forget {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "WITH past AS MATERIALIZED (\
               SELECT customer, key FROM idempotency_keys WHERE created_at <= now() - ",
        );
        out.push_sql(KEPT);
        out.push_sql(" ORDER BY created_at LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(
            " FOR UPDATE SKIP LOCKED) \
             DELETE FROM idempotency_keys USING past \
             WHERE idempotency_keys.customer = past.customer AND idempotency_keys.key = past.key",
        );
        Ok(())
    }
}

impl<Connection> RunQueryDsl<Connection> for Forget {}

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
