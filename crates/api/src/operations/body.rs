//! An operation as clients see it.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{OrderStatus, PaymentStatus};
use serde::Serialize;
use store::{Operation, OrderFilter};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::schema::{PaymentState, Status};

/// What an operator did to many orders, or to the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
pub(super) struct OperationBody {
    id: Uuid,
    /// `retry`, `cancel`, `pause` or `resume`.
    #[schema(example = "retry")]
    kind: String,
    /// Whose it is.
    #[schema(example = "operator:ada")]
    actor: String,
    filter: FilterBody,
    /// Orders that matched when it was created.
    #[schema(example = 5000)]
    matched: i64,
    /// Orders that it has changed.
    #[schema(example = 4998)]
    done: i64,
    /// Orders that matched, and changed otherwise before it came to them. Known at the end.
    #[schema(example = 2)]
    skipped: i64,
    #[schema(format = DateTime)]
    created_at: String,
    /// Null while orders are left.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
}

/// The orders that an operation is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Filter)]
struct FilterBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Status>, nullable = false)]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PaymentState>, nullable = false)]
    payment_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failure_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    created_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, nullable = false)]
    created_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    customer: Option<String>,
}

impl From<OrderFilter> for FilterBody {
    fn from(filter: OrderFilter) -> Self {
        Self {
            status: filter.status.map(OrderStatus::as_str),
            payment_status: filter.payment_status.map(PaymentStatus::as_str),
            failure_code: filter.failure_code.map(String::from),
            created_after: filter.created_after.map(rfc3339),
            created_before: filter.created_before.map(rfc3339),
            customer: filter.customer.map(|customer| customer.as_str().to_owned()),
        }
    }
}

impl From<Operation> for OperationBody {
    fn from(operation: Operation) -> Self {
        Self {
            id: operation.id,
            kind: operation.kind,
            actor: operation.actor,
            filter: operation.filter.into(),
            matched: operation.matched,
            done: operation.done,
            skipped: operation.skipped,
            created_at: rfc3339(operation.created_at),
            finished_at: operation.finished_at.map(rfc3339),
        }
    }
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
