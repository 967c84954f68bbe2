//! SQL expressions that diesel lacks. Times are by PostgreSQL's clock; callers pass durations.

use std::borrow::Cow;
use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::sql_types::{Bool, Nullable, Numeric, Text};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first of the two that is not NULL.
    fn coalesce(value: Nullable<Text>, otherwise: Text) -> Text;

    /// The first of the two that is not NULL, if any.
    #[sql_name = "coalesce"]
    fn first_text(value: Nullable<Text>, otherwise: Nullable<Text>) -> Nullable<Text>;

    /// A sum as a bigint; one that does not fit is an error.
    #[sql_name = "int8"]
    fn to_bigint(sum: Nullable<Numeric>) -> BigInt;
}

pub(crate) type StatusIs<'a> = SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<&'a str, Text>>>;

/// The order has this status. No index serves this condition, so a statement that names its orders by id, or
/// by when they are due, never reads all the orders of a status instead.
pub(crate) fn status_is(status: &str) -> StatusIs<'_> {
    sql("(orders.status = ").bind::<Text, _>(status).sql(") IS TRUE")
}

pub(crate) fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// For LIMIT, which is a bigint.
pub(crate) fn limit_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Text as PostgreSQL can store it: without NUL. For text that `domain` has not validated.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}
