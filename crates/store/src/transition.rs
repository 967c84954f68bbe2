//! Appends a transition's line to the history in the order's row.

use std::borrow::Cow;

use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::sql_types::{Nullable, Text};
use domain::{Actor, OrderStatus, TraceContext};

/// In characters. The `sub` of an operator's token may have any length.
const MAX_ACTOR: usize = 128;

/// The order's history and a further line, as SQL: `$attempt` is the attempt's number, `$to` the rest of the
/// line, from the new status on. The time is exact: a float8 has microseconds until the year 2255.
macro_rules! with_transition {
    ($attempt:literal, $to:literal) => {
        concat!($crate::transition::with_transition!($attempt), $to, ")")
    };
    ($attempt:literal) => {
        concat!(
            "concat(CASE WHEN octet_length(orders.history) > 8e3::int \
               THEN '-' || right(orders.history, 4e3::int) \
               ELSE orders.history END || chr(10), \
             '[', (SELECT (date_part('epoch', now()) * 1e6)::bigint), ',', ",
            $attempt,
            ", ',\"', orders.status, '\",', "
        )
    };
}
pub(crate) use with_transition;

/// A transition to be recorded. What is absent is known from the row, or from the attempt's claim.
#[derive(Default)]
pub(crate) struct NewTransition<'a> {
    pub(crate) actor: Option<&'a Actor>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
}

pub(crate) type Recorded =
    SqlLiteral<Nullable<Text>, UncheckedBind<SqlLiteral<Nullable<Text>>, AsExprOf<String, Text>>>;

impl<'a> NewTransition<'a> {
    /// Of the attempt that holds the order.
    pub(crate) fn because(reason: &'a str) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }

    /// The value of `orders.history` in an UPDATE that gives the order this status, for one order.
    pub(crate) fn to(&self, status: OrderStatus) -> Recorded {
        sql(with_transition!("orders.attempt"))
            .bind::<Text, _>(self.rest_of_line(status))
            .sql("::text)")
    }

    /// The line from the new status on, without null elements at its end.
    pub(crate) fn rest_of_line(&self, to: OrderStatus) -> String {
        let actor = self.actor.map(stored);
        let elements = [Some(to.as_str()), actor.as_deref(), self.reason, self.trace_id];
        let length = elements
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        // Text: serializing it does not fail.
        let line = serde_json::to_string(elements.get(..length).unwrap_or_default()).unwrap_or_default();
        line.get(1..).unwrap_or_default().to_owned()
    }
}

/// The customer's id is left out: it is in the row, and an erasure overwrites it there.
pub(crate) fn stored(actor: &Actor) -> Cow<'static, str> {
    match actor {
        Actor::Customer(_) => "customer".into(),
        other => other.to_string().chars().take(MAX_ACTOR).collect(),
    }
}

/// As [`NewTransition::to`], by this actor in the current trace.
pub(crate) fn made_by(actor: &Actor, status: OrderStatus) -> Recorded {
    let context = TraceContext(telemetry::propagation::inject_current());
    let transition = NewTransition {
        actor: Some(actor),
        reason: None,
        trace_id: context.trace_id(),
    };
    transition.to(status)
}
