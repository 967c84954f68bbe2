//! Assignments that several transitions share.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::dsl::{auto_type, now};
use diesel::prelude::*;
use domain::{Failure, OrderStatus};

use crate::schema::orders;

/// The order reaches this final status: it is never due again.
#[auto_type]
pub(crate) fn final_state(status: OrderStatus) -> _ {
    let status: &'static str = status.as_str();
    let never: Option<DateTime<Utc>> = None;
    (
        orders::status.eq(status),
        orders::dispatch_after.eq(never),
        orders::completed_at.eq(now),
        orders::updated_at.eq(now),
    )
}

/// Why the attempt failed.
#[auto_type]
pub(crate) fn failed_with<'a>(failure: &'a Failure) -> _ {
    let code: &'static str = failure.code.as_str();
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
