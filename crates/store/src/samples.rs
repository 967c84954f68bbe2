//! What happened to orders, in samples of 10 seconds, for charts. The leader writes a sample when its 10
//! seconds are over, from indexes, so that a chart reads no orders. A new leader fills the gap of the last
//! hour.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Interval, Jsonb, Nullable, Timestamptz, Uuid as SqlUuid,
};
use uuid::Uuid;

use crate::error::StoreError;
use crate::filter::id_at;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::store::Store;

telemetry::statement! {
    SelectNextSample: "SELECT" "order_samples", action "next_sample", framework "apalis";
    InsertSample: "INSERT" "order_samples", action "write_sample", framework "apalis";
    DeleteSamples: "DELETE" "order_samples", action "delete_samples", framework "apalis";
    SelectSamples: "SELECT" "order_samples", action "samples", framework "actix-web";
}

/// The length of a sample. A longer one would hide short outages.
pub const SAMPLE_LENGTH: Duration = Duration::from_secs(10);
/// A sample is written so long after its end: the transactions of its orders have committed, and ids that
/// were drawn within it are stored.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// The gap that a new leader fills, at most.
const MAX_GAP: Duration = Duration::from_secs(3600);
/// A day, and two hours to compare with.
const RETENTION: Duration = Duration::from_secs(26 * 3600);

/// The state of the system when a sample is written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SampledState {
    /// Pending orders that wait until the gateway is available.
    pub waiting_for_gateway: i64,
    /// Pending orders that wait for their next attempt.
    pub waiting_for_backoff: i64,
    /// Pending orders that no worker has claimed yet.
    pub waiting_for_dispatch: i64,
    /// Whether the queue was paused: then nothing was dispatched.
    pub paused: bool,
    /// Seconds: the age of the oldest order that is not final.
    pub oldest_age: f64,
    /// Jobs in Redis that wait; `None` while it is unavailable.
    pub waiting_jobs: Option<i64>,
    /// Whether orders were charged; `None` without a gateway.
    pub gateway_available: Option<bool>,
}

/// What happened within a period, and the state at its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// The start of the period.
    pub at: DateTime<Utc>,
    /// Orders that were created, by the time in their ids.
    pub created: i64,
    /// Orders that were completed.
    pub completed: i64,
    /// Orders that were cancelled.
    pub cancelled: i64,
    /// Orders that failed, by code.
    pub failed: BTreeMap<String, i64>,
    /// Seconds from creation to the final state: the median of the orders that became final. Of a period
    /// longer than a sample, the mean of its samples' medians.
    pub p50: Option<f64>,
    /// The 99th percentile; of a longer period, the largest of its samples.
    pub p99: Option<f64>,
    /// `None` where the period was sampled later.
    pub state: Option<SampledState>,
}

#[derive(QueryableByName)]
struct Next {
    #[diesel(sql_type = Timestamptz)]
    bucket: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    is_latest: bool,
}

#[derive(QueryableByName)]
struct SampleRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    created: i64,
    #[diesel(sql_type = BigInt)]
    completed: i64,
    #[diesel(sql_type = BigInt)]
    cancelled: i64,
    #[diesel(sql_type = Array<Jsonb>)]
    failed: Vec<Json<BTreeMap<String, i64>>>,
    #[diesel(sql_type = Nullable<Double>)]
    p50: Option<f64>,
    #[diesel(sql_type = Nullable<Double>)]
    p99: Option<f64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    waiting_for_gateway: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    waiting_for_backoff: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    waiting_for_dispatch: Option<i64>,
    #[diesel(sql_type = Nullable<Bool>)]
    paused: Option<bool>,
    #[diesel(sql_type = Nullable<Double>)]
    oldest_age: Option<f64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    waiting_jobs: Option<i64>,
    #[diesel(sql_type = Nullable<Bool>)]
    gateway_available: Option<bool>,
}

impl From<SampleRow> for Sample {
    fn from(row: SampleRow) -> Self {
        let mut failed = BTreeMap::new();
        for (code, number) in row.failed.into_iter().flat_map(|Json(codes)| codes) {
            *failed.entry(code).or_default() += number;
        }
        Self {
            at: row.at,
            created: row.created,
            completed: row.completed,
            cancelled: row.cancelled,
            failed,
            p50: row.p50,
            p99: row.p99,
            state: row.paused.map(|paused| SampledState {
                waiting_for_gateway: row.waiting_for_gateway.unwrap_or_default(),
                waiting_for_backoff: row.waiting_for_backoff.unwrap_or_default(),
                waiting_for_dispatch: row.waiting_for_dispatch.unwrap_or_default(),
                paused,
                oldest_age: row.oldest_age.unwrap_or_default(),
                waiting_jobs: row.waiting_jobs,
                gateway_available: row.gateway_available,
            }),
        }
    }
}

impl Store {
    /// Writes the oldest sample that is missing, if its time is over. Gives whether another one is missing.
    /// Polled, so it makes no span. Two leaders at once write a sample once.
    ///
    /// # Errors
    /// PostgreSQL is unavailable; the sample is then written by a later call.
    pub async fn write_sample(&self, state: Option<&SampledState>) -> Result<bool, StoreError> {
        telemetry::span::untraced(async {
            let Some(next) = self.next_sample().await? else {
                return Ok(false);
            };
            let end = next.bucket + SAMPLE_LENGTH;
            let state = state.filter(|_| next.is_latest);
            let insert = diesel::sql_query(
                "WITH final AS MATERIALIZED (\
                   SELECT status, failure_code, extract(epoch FROM completed_at - created_at)::float8 AS took \
                   FROM orders WHERE completed_at >= $1 AND completed_at < $2) \
                 INSERT INTO order_samples SELECT $1, \
                   (SELECT count(*) FROM orders WHERE id >= $3 AND id < $4), \
                   (SELECT count(*) FROM final WHERE status = 'completed'), \
                   (SELECT count(*) FROM final WHERE status = 'cancelled'), \
                   (SELECT coalesce(jsonb_object_agg(failure_code, number), '{}') FROM (\
                     SELECT failure_code, count(*) AS number FROM final WHERE status = 'failed' \
                     GROUP BY failure_code) AS codes), \
                   (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY took) FROM final), \
                   (SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY took) FROM final), \
                   $5, $6, $7, $8, $9, $10, $11 \
                 ON CONFLICT (bucket) DO NOTHING",
            );
            let insert = insert
                .bind::<Timestamptz, _>(next.bucket)
                .bind::<Timestamptz, _>(end)
                .bind::<SqlUuid, _>(first_id(next.bucket))
                .bind::<SqlUuid, _>(first_id(end))
                .bind::<Nullable<BigInt>, _>(state.map(|state| state.waiting_for_gateway))
                .bind::<Nullable<BigInt>, _>(state.map(|state| state.waiting_for_backoff))
                .bind::<Nullable<BigInt>, _>(state.map(|state| state.waiting_for_dispatch))
                .bind::<Nullable<Bool>, _>(state.map(|state| state.paused))
                .bind::<Nullable<Double>, _>(state.map(|state| state.oldest_age))
                .bind::<Nullable<BigInt>, _>(state.and_then(|state| state.waiting_jobs))
                .bind::<Nullable<Bool>, _>(state.and_then(|state| state.gateway_available));
            self.reporting.execute::<InsertSample, _>(insert).await?;
            if next.is_latest {
                let delete = diesel::sql_query("DELETE FROM order_samples WHERE bucket < now() - $1");
                let delete = delete.bind::<Interval, _>(interval(RETENTION));
                self.reporting.execute::<DeleteSamples, _>(delete).await?;
            }
            Ok(!next.is_latest)
        })
        .await
    }

    async fn next_sample(&self) -> Result<Option<Next>, StoreError> {
        let query = diesel::sql_query(
            "SELECT bucket, bucket + $1 > latest AS is_latest FROM (\
               SELECT greatest((SELECT bucket FROM order_samples ORDER BY bucket DESC LIMIT 1) + $1, \
                   date_bin($1, now() - $3, 'epoch')) AS bucket, \
                 date_bin($1, now() - $2, 'epoch') - $1 AS latest) AS next \
             WHERE bucket <= latest",
        );
        let query = query
            .bind::<Interval, _>(interval(SAMPLE_LENGTH))
            .bind::<Interval, _>(interval(SETTLED_AFTER))
            .bind::<Interval, _>(interval(MAX_GAP));
        self.reporting.row::<SelectNextSample, _, Next>(query).await
    }

    /// The samples since a time, oldest first, put together to periods of this length. A period without a
    /// sample is missing.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn samples(&self, since: DateTime<Utc>, period: Duration) -> Result<Vec<Sample>, StoreError> {
        let query = diesel::sql_query(
            "SELECT date_bin($2, bucket, 'epoch') AS at, sum(created) AS created, sum(completed) AS completed, \
               sum(cancelled) AS cancelled, \
               coalesce(array_agg(failed) FILTER (WHERE failed <> '{}'), '{}') AS failed, \
               avg(p50)::float8 AS p50, max(p99)::float8 AS p99, \
               (array_agg(waiting_for_gateway ORDER BY bucket DESC))[1] AS waiting_for_gateway, \
               (array_agg(waiting_for_backoff ORDER BY bucket DESC))[1] AS waiting_for_backoff, \
               (array_agg(waiting_for_dispatch ORDER BY bucket DESC))[1] AS waiting_for_dispatch, \
               (array_agg(paused ORDER BY bucket DESC))[1] AS paused, \
               (array_agg(oldest_age ORDER BY bucket DESC))[1]::float8 AS oldest_age, \
               (array_agg(waiting_jobs ORDER BY bucket DESC))[1] AS waiting_jobs, \
               bool_and(gateway_available) AS gateway_available \
             FROM order_samples WHERE bucket >= $1 GROUP BY 1 ORDER BY 1",
        );
        let query = query
            .bind::<Timestamptz, _>(since)
            .bind::<Interval, _>(interval(period.max(SAMPLE_LENGTH)));
        let rows: Vec<SampleRow> = self.reporting.rows::<SelectSamples, _, _>(query).await?;
        Ok(rows.into_iter().map(Sample::from).collect())
    }
}

fn first_id(at: DateTime<Utc>) -> Uuid {
    id_at(at, chrono::TimeDelta::zero())
}
