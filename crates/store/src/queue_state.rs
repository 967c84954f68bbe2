//! Whether an operator paused the queue. It is a row, so that a pause survives restarts, and loss of Redis.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text, Timestamptz, Uuid as SqlUuid};
use domain::Actor;
use uuid::Uuid;

use crate::error::StoreError;
use crate::store::Store;

telemetry::statement! {
    PauseQueue: "UPDATE" "queue_state", action "pause_queue", framework "actix-web";
    ResumeQueue: "UPDATE" "queue_state", action "resume_queue", framework "actix-web";
    SelectQueueState: "SELECT" "queue_state", action "queue_state", framework "actix-web";
}

/// Whether workers claim orders.
#[derive(Debug, Clone, Default, PartialEq, Eq, QueryableByName)]
pub struct QueueState {
    /// Since when the queue is paused; `None` if it is not.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub paused_at: Option<DateTime<Utc>>,
    /// Who paused it, as [`Actor`] is displayed.
    #[diesel(sql_type = Nullable<Text>)]
    pub paused_by: Option<String>,
}

impl QueueState {
    /// Whether workers claim no orders.
    pub fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }
}

impl Store {
    /// Pauses the queue: workers claim no orders from at most 2 s later on. Gives whether it was not paused.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn pause(&self, actor: &Actor) -> Result<bool, StoreError> {
        let update = diesel::sql_query(
            "WITH changed AS (UPDATE queue_state SET paused_at = now(), paused_by = $2 \
               WHERE paused_at IS NULL RETURNING 1) \
             INSERT INTO operations (id, kind, actor, filter, finished_at) \
             SELECT $1, 'pause', $2, '{}', now() FROM changed",
        );
        let update = update
            .bind::<SqlUuid, _>(Uuid::now_v7())
            .bind::<Text, _>(actor.to_string());
        Ok(self.pg.execute::<PauseQueue, _>(update).await? > 0)
    }

    /// Ends the pause. Gives whether the queue was paused.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn resume(&self, actor: &Actor) -> Result<bool, StoreError> {
        let update = diesel::sql_query(
            "WITH changed AS (UPDATE queue_state SET paused_at = NULL, paused_by = NULL \
               WHERE paused_at IS NOT NULL RETURNING 1) \
             INSERT INTO operations (id, kind, actor, filter, finished_at) \
             SELECT $1, 'resume', $2, '{}', now() FROM changed",
        );
        let update = update
            .bind::<SqlUuid, _>(Uuid::now_v7())
            .bind::<Text, _>(actor.to_string());
        Ok(self.pg.execute::<ResumeQueue, _>(update).await? > 0)
    }

    /// Whether the queue is paused. Polled, so it makes no span.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn queue_state(&self) -> Result<QueueState, StoreError> {
        let query = diesel::sql_query("SELECT paused_at, paused_by FROM queue_state");
        let row = telemetry::span::untraced(self.pg.row::<SelectQueueState, _, _>(query)).await?;
        Ok(row.unwrap_or_default())
    }
}
