//! Reading orders: one, a page, totals. Whoever passes a customer sees that customer's orders only.

use diesel::prelude::*;
use domain::{CustomerId, Money, Order, OrderId, OrderStatus};
use uuid::Uuid;

use crate::expressions::{coalesce, to_bigint};
use crate::row::{OrderRow, read_currency};
use crate::schema::orders;
use crate::{Store, StoreError};

telemetry::statement! {
    SelectOrder: "SELECT" "orders", action "find_order", framework "actix-web";
    SelectOrdersById: "SELECT" "orders", action "find_orders", framework "actix-web";
    SelectOwnOrders: "SELECT" "orders", action "list_own_orders", framework "actix-web";
    SelectOwnOrdersByStatus: "SELECT" "orders", action "list_own_orders_by_status", framework "actix-web";
    SelectOrders: "SELECT" "orders", action "list_orders", framework "actix-web";
    SelectOrdersByStatus: "SELECT" "orders", action "list_orders_by_status", framework "actix-web";
    SelectOwnTotals: "SELECT" "orders", action "total_own_orders", framework "actix-web";
    SelectTotals: "SELECT" "orders", action "total_orders", framework "actix-web";
}

/// How many orders of one status and currency there are, and what they add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusTotal {
    /// The status.
    pub status: OrderStatus,
    /// How many.
    pub count: i64,
    /// The sum of their amounts, in their currency.
    pub sum: Money,
}

impl Store {
    /// The order; `None` where there is none, or it is not `customer`'s. Without a customer, anybody's.
    pub async fn find(
        &self,
        id: OrderId,
        customer: Option<&CustomerId>,
    ) -> Result<Option<Order>, StoreError> {
        let query = orders::table
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::customer.eq(coalesce(customer.map(CustomerId::as_str), orders::customer)))
            .select(OrderRow::as_select());
        let row: Option<OrderRow> = self.row::<SelectOrder, _, _>(query).await?;
        row.map(Order::try_from).transpose()
    }

    /// Those of these orders that there are, in any order.
    pub async fn find_many(&self, ids: &[OrderId]) -> Result<Vec<Order>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
        let query = orders::table
            .filter(orders::id.eq_any(ids))
            .select(OrderRow::as_select());
        let rows: Vec<OrderRow> = self.rows::<SelectOrdersById, _, _>(query).await?;
        rows.into_iter().map(Order::try_from).collect()
    }

    /// At most `limit` orders, newest first: those created before the order `after`, which ended the page before.
    pub async fn list(
        &self,
        customer: Option<&CustomerId>,
        status: Option<OrderStatus>,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<Order>, StoreError> {
        let before = after.map_or(Uuid::max(), OrderId::as_uuid);
        let newest = orders::table
            .filter(orders::id.lt(before))
            .order(orders::id.desc())
            .limit(limit)
            .select(OrderRow::as_select());
        // Four statements rather than one with optional conditions: each has an index that it can be planned for once.
        let rows: Vec<OrderRow> = match (customer, status) {
            (Some(customer), Some(status)) => {
                let query = newest
                    .filter(orders::customer.eq(customer.as_str()))
                    .filter(orders::status.eq(status.as_str()));
                self.rows::<SelectOwnOrdersByStatus, _, _>(query).await?
            }
            (Some(customer), None) => {
                let query = newest.filter(orders::customer.eq(customer.as_str()));
                self.rows::<SelectOwnOrders, _, _>(query).await?
            }
            (None, Some(status)) => {
                let query = newest.filter(orders::status.eq(status.as_str()));
                self.rows::<SelectOrdersByStatus, _, _>(query).await?
            }
            (None, None) => self.rows::<SelectOrders, _, _>(newest).await?,
        };
        rows.into_iter().map(Order::try_from).collect()
    }

    /// Counts and sums by status and currency. It reads every order that it counts: ask seldom.
    ///
    /// # Errors
    /// [`StoreError::Query`] where a sum is beyond what a bigint holds.
    pub async fn totals(&self, customer: Option<&CustomerId>) -> Result<Vec<StatusTotal>, StoreError> {
        let totals = orders::table
            .group_by((orders::status, orders::currency))
            .order((orders::status, orders::currency))
            .select((
                orders::status,
                orders::currency,
                diesel::dsl::count_star(),
                to_bigint(diesel::dsl::sum(orders::amount)),
            ));
        let rows: Vec<(String, String, i64, i64)> = match customer {
            Some(customer) => {
                let query = totals.filter(orders::customer.eq(customer.as_str()));
                self.rows::<SelectOwnTotals, _, _>(query).await?
            }
            None => self.rows::<SelectTotals, _, _>(totals).await?,
        };
        let total = |(status, currency, count, sum): (String, String, i64, i64)| {
            Ok(StatusTotal {
                status: status.parse()?,
                count,
                sum: Money::from_minor(sum, read_currency(&currency)?)?,
            })
        };
        rows.into_iter()
            .map(total)
            .collect::<Result<_, _>>()
            .map_err(StoreError::Corrupt)
    }
}
