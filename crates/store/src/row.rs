//! A row of `orders`, and its conversion to an [`Order`].

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::dsl::SqlTypeOf;
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::{
    Attempt, Currency, CustomerId, Failure, Item, Money, Order, OrderId, PaymentToken, TraceContext,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{BoxError, StoreError};
use crate::pg::json::TryJson;
use crate::schema::orders;

/// The columns of every statement that returns an order, but for its payment token, which only a claim reads.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(Pg))]
pub(crate) struct OrderRow {
    id: Uuid,
    amount: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    completed_at: Option<DateTime<Utc>>,
    attempt: i32,
    attempts_forgiven: i32,
    attempts_two_step: i32,
    crashes: i32,
    payments_refused: i32,
    waiting_since: Option<DateTime<Utc>>,
    customer: String,
    currency: String,
    status: String,
    payment_method: Option<String>,
    payment_status: String,
    payment_id: Option<String>,
    failure_code: Option<String>,
    failure_detail: Option<String>,
    items: TryJson<Vec<ItemRow<'static>>>,
    trace_context: TryJson<TraceContext>,
    attempt_trace_context: Option<TryJson<TraceContext>>,
}

/// An order whose row this version of the program cannot read, for example because a newer one wrote it.
#[derive(Debug, thiserror::Error)]
#[error("order {id}: {source}")]
pub struct UnreadableOrder {
    /// The order's id.
    pub id: OrderId,
    source: BoxError,
}

impl From<UnreadableOrder> for StoreError {
    fn from(error: UnreadableOrder) -> Self {
        Self::corrupt(error)
    }
}

impl TryFrom<OrderRow> for Order {
    type Error = UnreadableOrder;

    fn try_from(row: OrderRow) -> Result<Self, UnreadableOrder> {
        let id = row.id.into();
        row.into_order().map_err(|source| UnreadableOrder { id, source })
    }
}

/// The columns of an [`OrderRow`], for statements that are written in SQL.
pub(crate) type OrderColumns = SqlTypeOf<<OrderRow as Selectable<Pg>>::SelectExpression>;

/// An order that was changed.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(Pg))]
pub(crate) struct IdRow {
    #[expect(dead_code, reason = "whether there is a row is what matters")]
    id: Uuid,
}

/// A claimed order, with what charges it.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = orders, check_for_backend(Pg))]
pub(crate) struct ClaimedRow {
    #[diesel(embed)]
    order: OrderRow,
    payment_token: Option<String>,
}

impl ClaimedRow {
    pub(crate) fn id(&self) -> Uuid {
        self.order.id
    }
}

impl TryFrom<ClaimedRow> for Order {
    type Error = UnreadableOrder;

    fn try_from(row: ClaimedRow) -> Result<Self, UnreadableOrder> {
        let id = row.id().into();
        let token = row.payment_token.map(read_token).transpose();
        let payment_token = token.map_err(|source| UnreadableOrder { id, source })?;
        Ok(Self {
            payment_token,
            ..Self::try_from(row.order)?
        })
    }
}

impl OrderRow {
    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn is_owned_by(&self, customer: &CustomerId) -> bool {
        self.customer == customer.as_str()
    }

    fn into_order(self) -> Result<Order, BoxError> {
        let currency = read_currency(&self.currency)?;
        let items = self.items.0?.into_iter().map(|item| item.into_item(currency));
        let failure = self.failure_code.zip(self.failure_detail);
        Ok(Order {
            id: self.id.into(),
            customer: CustomerId::new(self.customer)?,
            items: items.collect::<Result<_, _>>()?,
            amount: Money::from_minor(self.amount, currency)?,
            status: self.status.parse()?,
            payment_method: self.payment_method.map(|word| word.parse()).transpose()?,
            payment_token: None,
            payment_status: self.payment_status.parse()?,
            payment_id: self.payment_id,
            attempt: Attempt::new(self.attempt),
            attempts_forgiven: self.attempts_forgiven,
            attempts_two_step: self.attempts_two_step,
            crashes: self.crashes,
            payments_refused: self.payments_refused,
            waiting_since: self.waiting_since,
            failure: failure.map(|(code, detail)| Failure::new(code.into(), detail)),
            trace: self.trace_context.0?,
            attempt_trace: self.attempt_trace_context.map(|trace| trace.0).transpose()?,
            created_at: self.created_at,
            updated_at: self.updated_at,
            completed_at: self.completed_at,
        })
    }
}

fn read_currency(code: &str) -> Result<Currency, BoxError> {
    Currency::from_code(code).ok_or_else(|| format!("`{code}` is no currency").into())
}

fn read_token(token: String) -> Result<PaymentToken, BoxError> {
    PaymentToken::new(token).ok_or_else(|| "its payment token cannot be read".into())
}

/// An item in `orders.items`. The currency is in the order's own column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ItemRow<'a> {
    product_name: Cow<'a, str>,
    quantity: u32,
    unit_price_minor: i64,
}

impl<'a> From<&'a Item> for ItemRow<'a> {
    fn from(item: &'a Item) -> Self {
        Self {
            product_name: Cow::Borrowed(&item.product_name),
            quantity: item.quantity,
            unit_price_minor: item.unit_price.minor(),
        }
    }
}

impl ItemRow<'_> {
    fn into_item(self, currency: Currency) -> Result<Item, BoxError> {
        Ok(Item {
            product_name: self.product_name.into_owned(),
            quantity: self.quantity,
            unit_price: Money::from_minor(self.unit_price_minor, currency)?,
        })
    }
}
