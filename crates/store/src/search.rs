//! Finds orders by what an operator has at hand: an order's id, its trace, its payment, or its customer.

use diesel::sql_types::Text;
use domain::{CustomerId, Order, OrderId};

use crate::error::StoreError;
use crate::filter::{OrderFilter, Sort};
use crate::pg::written::Written;
use crate::row::{OrderColumns, OrderRow, UnreadableOrder};
use crate::store::Store;

telemetry::statement! {
    SelectByTrace: "SELECT" "orders", action "search_by_trace", framework "actix-web";
    SelectByPayment: "SELECT" "orders", action "search_by_payment", framework "actix-web";
}

/// Orders that a search finds at most.
const LIMIT: usize = 20;

impl Store {
    /// The orders whose id, trace id, payment id or customer is exactly this text: at most 20, a customer's
    /// newest first. A payment's id finds a final order whose last attempt was made by this release or a
    /// newer one, and every unfinished order.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn search(&self, text: &str) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let text = text.trim();
        if let Ok(id) = text.parse::<OrderId>() {
            let found = self.find_many(&[id]).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return self
                .search_by::<SelectByTrace>(&text.to_ascii_lowercase(), TRACE)
                .await;
        }
        let Ok(customer) = CustomerId::new(text) else {
            return Ok(Vec::new());
        };
        let found = self.search_by::<SelectByPayment>(text, PAYMENT).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let filter = OrderFilter {
            customer: Some(customer),
            ..OrderFilter::default()
        };
        self.list(&filter, Sort::NewestFirst, None, LIMIT).await
    }

    async fn search_by<S: telemetry::db::Statement + Send>(
        &self,
        text: &str,
        parts: [&'static str; 2],
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let [finals, unfinished] = parts;
        let query = Written::<OrderColumns>::new()
            .sql("WITH text AS (SELECT ")
            .bind::<Text, _>(text)
            .sql(" AS value) (SELECT ")
            .columns_of::<OrderRow>()
            .sql(finals)
            .sql(" LIMIT 20) UNION ALL (SELECT ")
            .columns_of::<OrderRow>()
            .sql(unfinished)
            .sql(" LIMIT 20) LIMIT 20");
        let rows: Vec<OrderRow> = self.reporting.rows::<S, _, _>(query).await?;
        Ok(rows.into_iter().map(Order::try_from).collect())
    }
}

/// Two searches, which are made one after the other: among final orders, through an index, and among all that
/// are unfinished. Their condition is a CASE, for which the planner expects half of the orders: it then reads
/// them in the order of the index of due orders.
const TRACE: [&str; 2] = [
    " FROM orders WHERE completed_at IS NOT NULL \
       AND hashtextextended(substr(trace_context ->> 'traceparent', 4, 32), 0) = hashtextextended((SELECT value FROM text), 0) \
       AND substr(trace_context ->> 'traceparent', 4, 32) = (SELECT value FROM text)",
    " FROM orders WHERE dispatch_after IS NOT NULL \
       AND CASE substr(trace_context ->> 'traceparent', 4, 32) WHEN (SELECT value FROM text) THEN true \
         ELSE false END ORDER BY dispatch_after",
];
const PAYMENT: [&str; 2] = [
    " FROM orders WHERE final_payment_id = (SELECT value FROM text)",
    " FROM orders WHERE dispatch_after IS NOT NULL AND CASE payment_id WHEN (SELECT value FROM text) THEN true ELSE false END \
       ORDER BY dispatch_after",
];
