//! SQL expressions that diesel lacks. Times are by PostgreSQL's clock; callers pass durations.

use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::{Interval, Nullable, Numeric, Text, Timestamptz};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first of the two that is not NULL.
    fn coalesce(value: Nullable<Text>, otherwise: Text) -> Text;

    /// A sum as a bigint; one that does not fit is an error.
    #[sql_name = "int8"]
    fn to_bigint(sum: Nullable<Numeric>) -> BigInt;
}

/// The start of the statement plus `duration`.
pub(crate) fn from_now(duration: Duration) -> FromNow<false> {
    FromNow(interval(duration))
}

/// The start of the statement plus a random part of `duration` (full jitter).
pub(crate) fn at_random_within(duration: Duration) -> FromNow<true> {
    FromNow(interval(duration))
}

/// For LIMIT, which is a bigint.
pub(crate) fn limit_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn interval(duration: Duration) -> PgInterval {
    PgInterval::from_microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// `CURRENT_TIMESTAMP + $1`, or `CURRENT_TIMESTAMP + random() * $1`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromNow<const RANDOM: bool>(PgInterval);

impl<const RANDOM: bool> Expression for FromNow<RANDOM> {
    type SqlType = Nullable<Timestamptz>;
}

impl<const RANDOM: bool> QueryFragment<Pg> for FromNow<RANDOM> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("CURRENT_TIMESTAMP + ");
        if RANDOM {
            out.push_sql("random() * ");
        }
        out.push_bind_param::<Interval, _>(&self.0)
    }
}

impl<const RANDOM: bool> QueryId for FromNow<RANDOM> {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const RANDOM: bool, GroupBy> ValidGrouping<GroupBy> for FromNow<RANDOM> {
    type IsAggregate = is_aggregate::Never;
}

impl<const RANDOM: bool, Source> AppearsOnTable<Source> for FromNow<RANDOM> {}

impl<const RANDOM: bool, Source> SelectableExpression<Source> for FromNow<RANDOM> {}
