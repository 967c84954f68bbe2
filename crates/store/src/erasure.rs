//! Erasure of a customer: what is personal in the customer's final orders is overwritten, and what accounting
//! needs stays: amounts, quantities, states, dates, and the gateway's id of the payment.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use domain::{Actor, CustomerId, OrderId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::limit_of;
use crate::schema::orders;
use crate::store::Store;
use crate::transition::stored;

telemetry::statement! {
    CountUnfinished: "SELECT" "orders", action "count_unfinished_of", framework "actix-web";
    SelectPending: "SELECT" "orders", action "pending_of", framework "actix-web";
    EraseOrders: "UPDATE" "orders", action "erase_orders", framework "actix-web";
    EraseKeys: "DELETE" "idempotency_keys", action "erase_keys", framework "actix-web";
}

const PSEUDONYM: &str = "erased-";

/// Whether the customer's id replaces one that was erased.
pub(crate) fn is_pseudonym(customer: &str) -> bool {
    customer.starts_with(PSEUDONYM)
}

/// An erasure under way.
#[derive(Debug)]
pub struct Erasure {
    customer: CustomerId,
    pseudonym: String,
    after: Uuid,
}

impl Erasure {
    /// Of this customer. The pseudonym is random: it cannot be derived from the customer's id.
    pub fn of(customer: CustomerId) -> Self {
        Self {
            customer,
            pseudonym: format!("{PSEUDONYM}{}", Uuid::new_v4()),
            after: Uuid::nil(),
        }
    }

    /// The id that replaces the customer's.
    pub fn pseudonym(&self) -> &str {
        &self.pseudonym
    }
}

#[derive(QueryableByName)]
struct Batch {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    last: Option<Uuid>,
}

/// The customer in a history, where the customer is also an operator.
fn as_operator(customer: &CustomerId) -> String {
    let actor = Actor::Operator(customer.as_str().to_owned());
    // Text: serializing it does not fail.
    serde_json::to_string(&stored(&actor)).unwrap_or_default()
}

impl Store {
    /// The number of the customer's orders that are not final.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn unfinished_of(&self, customer: &CustomerId) -> Result<i64, StoreError> {
        let query = orders::table
            .filter(orders::customer.eq(customer.as_str()))
            .filter(orders::dispatch_after.is_not_null())
            .count();
        Ok(self.pg.row::<CountUnfinished, _, i64>(query).await?.unwrap_or(0))
    }

    /// At most `limit` of the customer's pending orders, by id, after `after`.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn pending_of(
        &self,
        customer: &CustomerId,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<OrderId>, StoreError> {
        let query = orders::table
            .filter(orders::customer.eq(customer.as_str()))
            .filter(orders::status.eq(domain::OrderStatus::Pending.as_str()))
            .filter(orders::id.gt(after.map_or(Uuid::nil(), OrderId::as_uuid)))
            .order(orders::id)
            .limit(limit_of(limit))
            .select(orders::id);
        let ids: Vec<Uuid> = self.pg.rows::<SelectPending, _, _>(query).await?;
        Ok(ids.into_iter().map(OrderId::from).collect())
    }

    /// Erases what is personal in up to `limit` of the customer's final orders. Gives their number; 0 at the
    /// end. The dates stay, also `updated_at`.
    ///
    /// # Errors
    /// PostgreSQL is unavailable; the batch is erased as a whole or not at all.
    pub async fn erase_orders(&self, erasure: &mut Erasure, limit: usize) -> Result<usize, StoreError> {
        let update = diesel::sql_query(
            "WITH batch AS MATERIALIZED (\
               SELECT id FROM orders WHERE customer = $1 AND id > $2 AND completed_at IS NOT NULL \
               ORDER BY id LIMIT $3 FOR UPDATE), \
             erased AS (\
               UPDATE orders SET customer = $4, erased_at = now(), payment_token = NULL, \
                 failure_detail = CASE WHEN failure_code IS NOT NULL THEN 'erased' END, \
                 trace_context = '{}', attempt_trace_context = NULL, claim_token = NULL, \
                 history = regexp_replace(replace(history, $5, '\"operator:erased\"'), \
                   ',\"[0-9a-f]{32}\"\\]$', ']', 'gn'), \
                 items = (SELECT jsonb_agg(item || '{\"product_name\": \"erased\"}' ORDER BY place) \
                   FROM jsonb_array_elements(items) WITH ORDINALITY AS each (item, place)) \
               WHERE id = ANY (ARRAY(SELECT id FROM batch))) \
             SELECT count(*), (SELECT id FROM batch ORDER BY id DESC LIMIT 1) AS last FROM batch",
        );
        let update = update
            .bind::<Text, _>(erasure.customer.as_str())
            .bind::<SqlUuid, _>(erasure.after)
            .bind::<BigInt, _>(limit_of(limit))
            .bind::<Text, _>(&erasure.pseudonym)
            .bind::<Text, _>(as_operator(&erasure.customer));
        let batch = self.pg.row::<EraseOrders, _, Batch>(update).await?;
        let Some(Batch {
            count,
            last: Some(last),
        }) = batch
        else {
            return Ok(0);
        };
        erasure.after = last;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Deletes up to `limit` of the customer's idempotency keys. Gives their number; fewer than `limit` at
    /// the end.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn erase_keys(&self, customer: &CustomerId, limit: usize) -> Result<usize, StoreError> {
        let delete = diesel::sql_query(
            "DELETE FROM idempotency_keys WHERE customer = $1 AND key = ANY (ARRAY(\
               SELECT key FROM idempotency_keys WHERE customer = $1 LIMIT $2 FOR UPDATE))",
        );
        let delete = delete
            .bind::<Text, _>(customer.as_str())
            .bind::<BigInt, _>(limit_of(limit));
        self.pg.execute::<EraseKeys, _>(delete).await
    }
}
