//! Reading orders: one, several, a page. With a customer, only that customer's orders are visible.
//! Pages run on the reporting pool.

use diesel::prelude::*;
use domain::{CustomerId, Order, OrderId};
use uuid::Uuid;

use crate::batches::find::FindOrders;
use crate::error::StoreError;
use crate::filter::{Change, Condition, Index, Newest, Number, OrderFilter};
use crate::row::{OrderRow, UnreadableOrder};
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectOrdersById: "SELECT" "orders", action "find_orders", framework "actix-web";
    SelectOrders: "SELECT" "orders", action "list_orders", framework "actix-web";
    SelectOwnOrders: "SELECT" "orders", action "list_own_orders", framework "actix-web";
    SelectOwnOrdersByStatus: "SELECT" "orders", action "list_own_orders_by_status", framework "actix-web";
    SelectOrdersByStatus: "SELECT" "orders", action "list_orders_by_status", framework "actix-web";
    SelectOrdersByFailure: "SELECT" "orders", action "list_orders_by_failure", framework "actix-web";
    SelectOrdersByPayment: "SELECT" "orders", action "list_orders_by_payment", framework "actix-web";
    CountOrders: "SELECT" "orders", action "count_orders", framework "actix-web";
    CountOwnOrders: "SELECT" "orders", action "count_own_orders", framework "actix-web";
    CountOwnOrdersByStatus: "SELECT" "orders", action "count_own_orders_by_status", framework "actix-web";
    CountOrdersByStatus: "SELECT" "orders", action "count_orders_by_status", framework "actix-web";
    CountOrdersByFailure: "SELECT" "orders", action "count_orders_by_failure", framework "actix-web";
    CountOrdersByPayment: "SELECT" "orders", action "count_orders_by_payment", framework "actix-web";
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

    /// At most `limit` orders of the filter, newest first, created before `after`, the last order of the
    /// preceding page. One that cannot be read hides no other.
    ///
    /// # Errors
    /// [`StoreError::Aborted`] if no index serves the filter well enough to answer within the timeout, such
    /// as a customer's few pending orders among millions.
    pub async fn list(
        &self,
        filter: &OrderFilter,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        self.newest(filter, after, limit, None).await
    }

    /// As [`list`](Self::list); with a `change`, only orders that it may change.
    pub(crate) async fn newest(
        &self,
        filter: &OrderFilter,
        after: Option<OrderId>,
        limit: usize,
        change: Option<Change>,
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let mut rows: Vec<OrderRow> = Vec::new();
        for filter in filter.with_index() {
            let query = Newest::new(Condition::new(&filter, after, change), limit);
            let pool = &self.reporting;
            rows.extend(match query.condition.index() {
                Index::PrimaryKey => pool.rows::<SelectOrders, _, _>(query).await,
                Index::OfCustomer => pool.rows::<SelectOwnOrders, _, _>(query).await,
                Index::UnsuccessfulOfCustomer => pool.rows::<SelectOwnOrdersByStatus, _, _>(query).await,
                Index::NotCompleted => pool.rows::<SelectOrdersByStatus, _, _>(query).await,
                Index::ByFailure => pool.rows::<SelectOrdersByFailure, _, _>(query).await,
                Index::ByPayment => pool.rows::<SelectOrdersByPayment, _, _>(query).await,
            }?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.id()));
        rows.truncate(limit);
        Ok(rows.into_iter().map(Order::try_from).collect())
    }

    /// The number of orders of the filter. Reads each of them.
    ///
    /// # Errors
    /// [`StoreError::Aborted`] if that takes longer than the timeout, as with millions of orders.
    pub async fn count(&self, filter: &OrderFilter) -> Result<i64, StoreError> {
        self.number(filter, None).await
    }

    /// As [`count`](Self::count); with a `change`, only orders that it may change.
    pub(crate) async fn number(
        &self,
        filter: &OrderFilter,
        change: Option<Change>,
    ) -> Result<i64, StoreError> {
        let mut number = 0_i64;
        for filter in filter.with_index() {
            let query = Number(Condition::new(&filter, None, change));
            let pool = &self.reporting;
            let counted: Option<i64> = match query.0.index() {
                Index::PrimaryKey => pool.row::<CountOrders, _, _>(query).await,
                Index::OfCustomer => pool.row::<CountOwnOrders, _, _>(query).await,
                Index::UnsuccessfulOfCustomer => pool.row::<CountOwnOrdersByStatus, _, _>(query).await,
                Index::NotCompleted => pool.row::<CountOrdersByStatus, _, _>(query).await,
                Index::ByFailure => pool.row::<CountOrdersByFailure, _, _>(query).await,
                Index::ByPayment => pool.row::<CountOrdersByPayment, _, _>(query).await,
            }?;
            number = number.saturating_add(counted.unwrap_or_default());
        }
        Ok(number)
    }
}
