//! Assignments that several transitions share.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::dsl::{auto_type, now};
use diesel::prelude::*;
use domain::{Failure, OrderStatus};

use crate::schema::orders;
use crate::transition::{NewTransition, Recorded};

/// The order reaches this final status: it is never due again.
#[auto_type]
pub(crate) fn final_state(status: OrderStatus) -> _ {
    let status: &'static str = status.as_str();
    let never: Option<DateTime<Utc>> = None;
    (
        orders::status.eq(status),
        orders::dispatch_after.eq(never),
        orders::waiting_since.eq(never),
        orders::crashes.eq(0_i32),
        orders::completed_at.eq(now),
        orders::final_payment_id.eq(orders::payment_id),
        orders::updated_at.eq(now),
    )
}

/// The attempt ended without crashing its worker, and another one follows.
#[auto_type]
pub(crate) fn pending_again(reason: &str) -> _ {
    let pending: &'static str = OrderStatus::Pending.as_str();
    let history: Recorded = NewTransition::because(reason).to(OrderStatus::Pending);
    (
        orders::history.eq(history),
        orders::status.eq(pending),
        orders::crashes.eq(0_i32),
        orders::updated_at.eq(now),
    )
}

/// The attempt does not count against the limit.
#[auto_type]
pub(crate) fn uncounted() -> _ {
    orders::attempts_forgiven.eq(orders::attempts_forgiven + 1_i32)
}

/// Why the attempt failed.
#[auto_type]
pub(crate) fn failed_with<'a>(failure: &'a Failure) -> _ {
    let code: Cow<'a, str> = storable(failure.code.as_str());
    let detail: Cow<'a, str> = storable(&failure.detail);
    (orders::failure_code.eq(code), orders::failure_detail.eq(detail))
}

/// Text as PostgreSQL can store it: without NUL. For text that `domain` has not validated.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}
