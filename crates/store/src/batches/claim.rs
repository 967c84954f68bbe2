//! Claims orders for a worker's attempts.

use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, Integer, Interval, Jsonb, Text, Uuid as SqlUuid};
use domain::TraceContext;
use uuid::Uuid;

use crate::error::StoreError;
use crate::fencing::LOCK_OR_SKIP;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::pg::lane::{BatchStatement, LaneConnection, of_each};
use crate::row::{ClaimedColumns, ClaimedColumnsType, ClaimedRow};
use crate::transition::with_transition;

telemetry::statement! {
    pub(crate) ClaimOrder: "UPDATE" "orders", action "claim_order", framework "apalis";
}

/// One claim.
pub(crate) struct Claim {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) token: Uuid,
    pub(crate) trace: TraceContext,
    pub(crate) lease: Duration,
    /// The rest of the transition's line.
    pub(crate) transition: String,
}

pub(crate) struct ClaimOrders;

impl BatchStatement for ClaimOrders {
    type Statement = ClaimOrder;
    type Item = Claim;
    /// `None` also if another transaction has locked the row, or an earlier claim of the batch is for the
    /// same order.
    type Output = Option<ClaimedRow>;

    async fn run(
        connection: &mut LaneConnection,
        claims: &[Claim],
    ) -> Result<Vec<Option<ClaimedRow>>, StoreError> {
        let update = ClaimRows::new(claims, LOCK_OR_SKIP);
        let rows: Vec<ClaimedRow> = connection.rows::<ClaimOrder, _, _>(update).await?;
        Ok(of_each(claims, |claim| claim.id, rows, ClaimedRow::id))
    }
}

/// The lease ended because its worker died. An attempt of release 0.1 may end so too when the gateway rejects
/// its request, because the payment is made in two steps: it counts as an attempt.
const CRASHED: &str = "(orders.status = 'processing' AND orders.attempts_two_step = orders.attempt)";

pub(crate) struct ClaimRows<'a> {
    ids: Vec<Uuid>,
    attempts: Vec<i32>,
    tokens: Vec<Uuid>,
    traces: Vec<Json<&'a TraceContext>>,
    leases: Vec<PgInterval>,
    transitions: Vec<&'a str>,
    lock: &'static str,
    columns: ClaimedColumns,
}

impl<'a> ClaimRows<'a> {
    pub(crate) fn new(claims: &'a [Claim], lock: &'static str) -> Self {
        Self {
            ids: claims.iter().map(|claim| claim.id).collect(),
            attempts: claims.iter().map(|claim| claim.attempt).collect(),
            tokens: claims.iter().map(|claim| claim.token).collect(),
            traces: claims.iter().map(|claim| Json(&claim.trace)).collect(),
            leases: claims.iter().map(|claim| interval(claim.lease)).collect(),
            transitions: claims.iter().map(|claim| claim.transition.as_str()).collect(),
            lock,
            columns: ClaimedRow::columns(),
        }
    }
}

impl QueryFragment<Pg> for ClaimRows<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH free AS MATERIALIZED (SELECT job.*, place, crashed FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.attempts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.tokens)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Jsonb>, _>(&self.traces)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Interval>, _>(&self.leases)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.transitions)?;
        out.push_sql(
            ") AS job (id, attempt, token, trace, lease, transition), \
             LATERAL (SELECT orders.ctid AS place, ",
        );
        out.push_sql(CRASHED);
        out.push_sql(
            " AS crashed FROM orders WHERE orders.id = job.id AND (\
               orders.attempt = job.attempt - 1 AND (orders.status = 'pending' \
                 OR orders.status = 'processing' AND orders.dispatch_after <= now()) \
               OR orders.attempt = job.attempt AND orders.status = 'processing' \
                 AND orders.claim_token = job.token) IS TRUE",
        );
        out.push_sql(self.lock);
        out.push_sql(concat!(
            ") AS locked) \
             UPDATE orders SET \
               history = CASE WHEN orders.attempt = free.attempt THEN history ELSE ",
            with_transition!("free.attempt", "free.transition"),
            " END, \
               status = 'processing', \
               attempt = free.attempt, \
               attempts_two_step = attempts_two_step + (orders.attempt < free.attempt)::int, \
               attempts_forgiven = attempts_forgiven + (crashed AND orders.attempt < free.attempt)::int, \
               crashes = crashes + (crashed AND orders.attempt < free.attempt)::int, \
               claim_token = free.token, \
               attempt_trace_context = free.trace, \
               dispatch_after = now() + (1 + random() / 4) * free.lease, \
               updated_at = now() \
             FROM free WHERE orders.ctid = free.place RETURNING ",
        ));
        self.columns.walk_ast(out.reborrow())
    }
}

impl QueryId for ClaimRows<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for ClaimRows<'_> {
    type SqlType = ClaimedColumnsType;
}

impl<Connection> RunQueryDsl<Connection> for ClaimRows<'_> {}
