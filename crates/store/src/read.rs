//! Reading orders: one, several, a page. With a customer, only that customer's orders are visible.
//! Pages run on the reporting pool.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use domain::{CustomerId, Order, OrderId, OrderStatus};
use uuid::Uuid;

use crate::batches::find::FindOrders;
use crate::error::StoreError;
use crate::pg::expressions::limit_of;
use crate::row::{OrderRow, UnreadableOrder};
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectOrdersById: "SELECT" "orders", action "find_orders", framework "actix-web";
    SelectOwnOrders: "SELECT" "orders", action "list_own_orders", framework "actix-web";
    SelectOwnOrdersByStatus: "SELECT" "orders", action "list_own_orders_by_status", framework "actix-web";
    SelectOrders: "SELECT" "orders", action "list_orders", framework "actix-web";
    SelectOrdersByStatus: "SELECT" "orders", action "list_orders_by_status", framework "actix-web";
}

impl Store {
    /// The order; `None` if it does not exist, or is not `customer`'s.
    pub async fn find(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
    ) -> Result<Option<Order>, StoreError> {
        let row = self.batched::<FindOrders>(&self.calls.find, id).await?;
        let visible = row.filter(|row| customer.is_none_or(|customer| row.is_owned_by(customer)));
        Ok(visible.map(Order::try_from).transpose()?)
    }

    /// Those of these orders that exist, unsorted. One that cannot be read hides no other.
    pub async fn find_many(
        &self,
        ids: &[OrderId],
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = orders::table
            .filter(orders::id.eq_any(ids))
            .select(OrderRow::as_select());
        let rows: Vec<OrderRow> = self.pg.rows::<SelectOrdersById, _, _>(query).await?;
        Ok(rows.into_iter().map(Order::try_from).collect())
    }

    /// At most `limit` orders, newest first, created before `after`, the last order of the preceding page.
    /// One that cannot be read hides no other.
    pub async fn list(
        &self,
        customer: Option<&CustomerId>,
        status: Option<OrderStatus>,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let before = after.map_or(Uuid::max(), OrderId::as_uuid);
        let newest = orders::table.limit(limit_of(limit)).select(OrderRow::as_select());
        // Four statements, whose conditions and sort order only one index has. With `status = $1` and
        // `customer = $2`, the planner may read the primary key backwards, or all orders of the customer: it
        // expects every status and customer to be spread evenly, and old failures are not. Among 1 million
        // orders of one customer that took 700 ms instead of 0.1 ms.
        let rows: Vec<OrderRow> = match (customer.map(CustomerId::as_str), status.map(OrderStatus::as_str)) {
            (Some(customer), Some(status)) => {
                let preceding = sql::<Bool>("(status, customer, id) < (")
                    .bind::<Text, _>(status)
                    .sql(", ")
                    .bind::<Text, _>(customer)
                    .sql(", ")
                    .bind::<SqlUuid, _>(before)
                    .sql(") AND (status, customer) >= (")
                    .bind::<Text, _>(status)
                    .sql(", ")
                    .bind::<Text, _>(customer)
                    .sql(")");
                let order = (orders::status.desc(), orders::customer.desc(), orders::id.desc());
                let query = newest.filter(preceding).order(order);
                self.reporting
                    .rows::<SelectOwnOrdersByStatus, _, _>(query)
                    .await?
            }
            (Some(customer), None) => {
                let preceding = sql::<Bool>("(customer, id) < (")
                    .bind::<Text, _>(customer)
                    .sql(", ")
                    .bind::<SqlUuid, _>(before)
                    .sql(")");
                let query = newest
                    .filter(preceding)
                    .filter(orders::customer.ge(customer))
                    .order((orders::customer.desc(), orders::id.desc()));
                self.reporting.rows::<SelectOwnOrders, _, _>(query).await?
            }
            (None, Some(status)) => {
                // The index's collation keeps it out of the other plans.
                let preceding = sql::<Bool>("(status COLLATE \"C\", id) < (")
                    .bind::<Text, _>(status)
                    .sql(", ")
                    .bind::<SqlUuid, _>(before)
                    .sql(") AND status COLLATE \"C\" >= ")
                    .bind::<Text, _>(status);
                let status = sql::<Text>("status COLLATE \"C\" DESC");
                let query = newest.filter(preceding).order((status, orders::id.desc()));
                self.reporting.rows::<SelectOrdersByStatus, _, _>(query).await?
            }
            (None, None) => {
                let query = newest.filter(orders::id.lt(before)).order(orders::id.desc());
                self.reporting.rows::<SelectOrders, _, _>(query).await?
            }
        };
        Ok(rows.into_iter().map(Order::try_from).collect())
    }
}
