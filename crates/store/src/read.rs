//! Reading orders: one, several, a page. With a customer, only that customer's orders are visible.
//! Pages run on the reporting pool.

use std::cmp::Reverse;
use std::sync::OnceLock;

use diesel::prelude::*;
use domain::{CustomerId, Order, OrderId};
use uuid::Uuid;

use crate::batches::find::FindOrders;
use crate::error::StoreError;
use crate::filter::{Change, Condition, Index, OrderFilter, Sort, number, page};
use crate::pg::written::Written;
use crate::row::{OrderColumns, OrderRow, UnreadableOrder};
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectOrdersById: "SELECT" "orders", action "find_orders", framework "actix-web";
    CountOrders: "SELECT" "orders", action "count_orders", framework "actix-web";
    CountOwnOrders: "SELECT" "orders", action "count_own_orders", framework "actix-web";
    CountOwnOrdersByStatus: "SELECT" "orders", action "count_own_orders_by_status", framework "actix-web";
    CountOrdersByStatus: "SELECT" "orders", action "count_orders_by_status", framework "actix-web";
    CountOrdersByFailure: "SELECT" "orders", action "count_orders_by_failure", framework "actix-web";
    CountOrdersByPayment: "SELECT" "orders", action "count_orders_by_payment", framework "actix-web";
}

/// The statements of lists, one for each index and each direction in which it is read: a statement has one
/// text.
macro_rules! list_statements {
    ($($name:ident: $action:literal;)+) => {$(
        struct $name<const IS_OLDEST_FIRST: bool>;

        impl<const IS_OLDEST_FIRST: bool> telemetry::db::Statement for $name<IS_OLDEST_FIRST> {
            const OPERATION: &'static str = "SELECT";
            const COLLECTION: &'static str = "orders";
            const SUMMARY: &'static str = "SELECT orders";
            const COMMENT: &'static str =
                concat!(" /*action='", $action, "',db_driver='diesel-async',framework='actix-web'*/");

            fn text() -> &'static OnceLock<&'static str> {
                static NEWEST_FIRST: OnceLock<&str> = OnceLock::new();
                static OLDEST_FIRST: OnceLock<&str> = OnceLock::new();
                if IS_OLDEST_FIRST { &OLDEST_FIRST } else { &NEWEST_FIRST }
            }
        }
    )+};
}

list_statements! {
    SelectOrders: "list_orders";
    SelectOwnOrders: "list_own_orders";
    SelectOwnOrdersByStatus: "list_own_orders_by_status";
    SelectOrdersByStatus: "list_orders_by_status";
    SelectOrdersByFailure: "list_orders_by_failure";
    SelectOrdersByPayment: "list_orders_by_payment";
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

    /// At most `limit` orders of the filter, which follow `after`, the last order of the preceding page. One
    /// that cannot be read hides no other.
    ///
    /// # Errors
    /// [`StoreError::Aborted`] if no index serves the filter well enough to answer within the timeout, such
    /// as a customer's few pending orders among millions.
    pub async fn list(
        &self,
        filter: &OrderFilter,
        sort: Sort,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        self.list_changeable(filter, sort, after, limit, None).await
    }

    /// As [`list`](Self::list); with a `change`, only orders that it may change.
    pub(crate) async fn list_changeable(
        &self,
        filter: &OrderFilter,
        sort: Sort,
        after: Option<OrderId>,
        limit: usize,
        change: Option<Change>,
    ) -> Result<Vec<Result<Order, UnreadableOrder>>, StoreError> {
        let mut rows: Vec<OrderRow> = Vec::new();
        for filter in filter.with_index() {
            let condition = Condition::new(&filter, change);
            let index = condition.index();
            let list = page(condition, sort, after, limit);
            rows.extend(match sort {
                Sort::NewestFirst => self.rows_of::<false>(index, list).await,
                Sort::OldestFirst => self.rows_of::<true>(index, list).await,
            }?);
        }
        match sort {
            Sort::NewestFirst => rows.sort_by_key(|row| Reverse(row.id())),
            Sort::OldestFirst => rows.sort_by_key(OrderRow::id),
        }
        rows.truncate(limit);
        Ok(rows.into_iter().map(Order::try_from).collect())
    }

    async fn rows_of<const IS_OLDEST_FIRST: bool>(
        &self,
        index: Index,
        list: Written<'_, OrderColumns>,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let pool = &self.reporting;
        match index {
            Index::PrimaryKey => pool.rows::<SelectOrders<IS_OLDEST_FIRST>, _, _>(list).await,
            Index::OfCustomer => pool.rows::<SelectOwnOrders<IS_OLDEST_FIRST>, _, _>(list).await,
            Index::UnsuccessfulOfCustomer => {
                pool.rows::<SelectOwnOrdersByStatus<IS_OLDEST_FIRST>, _, _>(list)
                    .await
            }
            Index::NotCompleted => {
                pool.rows::<SelectOrdersByStatus<IS_OLDEST_FIRST>, _, _>(list)
                    .await
            }
            Index::ByFailure => {
                pool.rows::<SelectOrdersByFailure<IS_OLDEST_FIRST>, _, _>(list)
                    .await
            }
            Index::ByPayment => {
                pool.rows::<SelectOrdersByPayment<IS_OLDEST_FIRST>, _, _>(list)
                    .await
            }
        }
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
        let mut total = 0_i64;
        for filter in filter.with_index() {
            let condition = Condition::new(&filter, change);
            let index = condition.index();
            let (pool, query) = (&self.reporting, number(condition));
            let counted: Option<i64> = match index {
                Index::PrimaryKey => pool.row::<CountOrders, _, _>(query).await,
                Index::OfCustomer => pool.row::<CountOwnOrders, _, _>(query).await,
                Index::UnsuccessfulOfCustomer => pool.row::<CountOwnOrdersByStatus, _, _>(query).await,
                Index::NotCompleted => pool.row::<CountOrdersByStatus, _, _>(query).await,
                Index::ByFailure => pool.row::<CountOrdersByFailure, _, _>(query).await,
                Index::ByPayment => pool.row::<CountOrdersByPayment, _, _>(query).await,
            }?;
            total = total.saturating_add(counted.unwrap_or_default());
        }
        Ok(total)
    }
}
