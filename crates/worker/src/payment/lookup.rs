//! Finds the charge of an order whose intent was never recorded: release 0.1 charged before it knew the
//! intent's id.

use chrono::{DateTime, TimeDelta, Utc};
use domain::OrderId;

use super::admission::Visit;
use super::error::CallError;
use super::gateway::{Gateway, ListQuery};
use super::intent::Intent;

/// How far the gateway's clock may be from PostgreSQL's.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Searches the gateway's list for an intent of the order that was created from `from` until `until`,
/// and that has charged it or still may. An intent that was never confirmed, was declined or cancelled is not
/// one.
pub(super) async fn find_charge(
    gateway: &Gateway,
    visit: &Visit<'_>,
    id: OrderId,
    (from, until): (DateTime<Utc>, Option<DateTime<Utc>>),
) -> Result<Option<Intent>, CallError> {
    let (id, mut before) = (id.to_string(), None);
    loop {
        let query = ListQuery {
            from: from - CLOCK_SKEW,
            until: until.map(|until| until + CLOCK_SKEW),
            after: before.as_deref(),
        };
        let page = visit.send(gateway.list(&query, 0)).await?;
        let last = page.data.last().map(|intent| intent.id.clone());
        let mut intents = page.data.into_iter();
        let found = intents.find(|intent| intent.order_id() == Some(&id) && intent.may_have_charged());
        if found.is_some() || !page.has_more {
            return Ok(found);
        }
        if last.is_none() || last == before {
            // The list would never end.
            return Err(CallError::Unreachable);
        }
        before = last;
    }
}
