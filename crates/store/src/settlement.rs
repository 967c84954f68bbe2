//! How a payment ends. A final order's payment is settled, which the schema checks. Release 0.1 left payments
//! pending; [`Store::unsettled`] finds their orders.

use chrono::{DateTime, Utc};
use diesel::dsl::{AsExprOf, auto_type, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};
use domain::{OrderId, OrderStatus, PaymentStatus};
use uuid::Uuid;

use crate::error::StoreError;
use crate::pg::expressions::{first_text, limit_of, storable};
use crate::schema::orders;
use crate::store::Store;

telemetry::statement! {
    SelectUnsettledOrders: "SELECT" "orders", action "unsettled_orders", framework "apalis";
    SettleOrder: "UPDATE" "orders", action "settle_order", framework "apalis";
}

/// How an order's pending payment ends. A payment that is not pending stays as it is: none was required, or
/// it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// The order has no pending payment.
    Unchanged,
    /// The bank declined the charge.
    Refused,
    /// No money moved, and none can.
    Cancelled,
    /// Charged. The payment's id is or becomes known.
    Charged,
}

impl Settlement {
    pub(crate) fn status(self) -> Option<PaymentStatus> {
        match self {
            Self::Unchanged => None,
            Self::Refused => Some(PaymentStatus::Refused),
            Self::Cancelled => Some(PaymentStatus::Cancelled),
            Self::Charged => Some(PaymentStatus::Charged),
        }
    }
}

/// The state of a payment that settles now.
type Settled =
    SqlLiteral<Text, UncheckedBind<SqlLiteral<Text>, AsExprOf<Option<&'static str>, Nullable<Text>>>>;
/// The number of payments that ended without a charge.
type Ended = SqlLiteral<Integer, UncheckedBind<SqlLiteral<Integer>, AsExprOf<i32, Integer>>>;

fn settled(settlement: Settlement) -> Settled {
    let status = settlement.status().map(PaymentStatus::as_str);
    sql("CASE payment_status WHEN 'pending' THEN coalesce(")
        .bind::<Nullable<Text>, _>(status)
        .sql(", payment_status) ELSE payment_status END")
}

fn ended(settlement: Settlement) -> Ended {
    let without_charge = matches!(settlement, Settlement::Refused | Settlement::Cancelled);
    sql("payments_refused + CASE payment_status WHEN 'pending' THEN ")
        .bind::<Integer, _>(i32::from(without_charge))
        .sql(" ELSE 0 END")
}

/// The payment ends as `settlement` says.
#[auto_type]
pub(crate) fn settled_as(settlement: Settlement) -> _ {
    let status: Settled = settled(settlement);
    let ended: Ended = ended(settlement);
    (
        orders::payment_status.eq(status),
        orders::payments_refused.eq(ended),
    )
}

/// A final order whose payment release 0.1 left pending. One that failed may have been charged between its
/// creation and its end; one that was cancelled was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsettledOrder {
    /// The order's id.
    pub id: OrderId,
    /// Whether it was cancelled; it failed otherwise.
    pub cancelled: bool,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it became final.
    pub completed_at: DateTime<Utc>,
}

impl Store {
    /// At most `limit` final orders whose payment is still pending, by id, after `after`.
    pub async fn unsettled(
        &self,
        after: Option<OrderId>,
        limit: usize,
    ) -> Result<Vec<UnsettledOrder>, StoreError> {
        // Literals, so that every plan can use the index orders_unsettled.
        let unsettled = sql::<diesel::sql_types::Bool>(
            "payment_status = 'pending' AND status IN ('failed', 'cancelled')",
        );
        let query = orders::table
            .filter(unsettled)
            .filter(orders::id.gt(after.map_or(Uuid::nil(), OrderId::as_uuid)))
            .order(orders::id)
            .limit(limit_of(limit))
            .select((
                orders::id,
                orders::status.eq(OrderStatus::Cancelled.as_str()),
                orders::created_at,
                orders::completed_at.assume_not_null(),
            ));
        let rows: Vec<(Uuid, bool, DateTime<Utc>, DateTime<Utc>)> =
            self.pg.rows::<SelectUnsettledOrders, _, _>(query).await?;
        let order = |(id, cancelled, created_at, completed_at): (Uuid, _, _, _)| UnsettledOrder {
            id: id.into(),
            cancelled,
            created_at,
            completed_at,
        };
        Ok(rows.into_iter().map(order).collect())
    }

    /// Settles the payment of an order that [`Store::unsettled`] gave; `payment_id` is the gateway's id of
    /// the payment, if it has one. False if it is settled already, or an operator retried the order.
    ///
    /// # Errors
    /// [`StoreError::Query`] if it is charged without an id.
    pub async fn settle(
        &self,
        id: OrderId,
        settlement: Settlement,
        payment_id: Option<&str>,
    ) -> Result<bool, StoreError> {
        let update = diesel::update(orders::table)
            .filter(orders::id.eq(id.as_uuid()))
            .filter(orders::status.eq_any([OrderStatus::Failed.as_str(), OrderStatus::Cancelled.as_str()]))
            .filter(orders::payment_status.eq(PaymentStatus::Pending.as_str()))
            .set((
                settled_as(settlement),
                orders::payment_id.eq(first_text(payment_id.map(storable), orders::payment_id)),
                orders::final_payment_id.eq(first_text(payment_id.map(storable), orders::payment_id)),
            ));
        Ok(self.pg.execute::<SettleOrder, _>(update).await? > 0)
    }
}
