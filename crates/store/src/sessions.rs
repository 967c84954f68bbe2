//! Sessions of the operators' console. A session ends at a time that is fixed when it begins, or when its
//! operator signs out.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Double, Interval, Text};

use crate::error::StoreError;
use crate::pg::expressions::interval;
use crate::store::Store;

telemetry::statement! {
    CreateSession: "INSERT" "console_sessions", action "create_session", framework "actix-web";
    SelectSession: "SELECT" "console_sessions", action "find_session", framework "actix-web";
    SelectOpenSessions: "SELECT" "console_sessions", action "open_sessions", framework "actix-web";
    DeleteSession: "DELETE" "console_sessions", action "end_session", framework "actix-web";
}

/// The SHA-256 of a session's id.
pub type SessionHash = [u8; 32];

/// A session of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose session it is: the claim `sub` of the operator's token.
    pub subject: String,
    /// The scope that the session has.
    pub scope: String,
    /// The secret that each of its forms carries.
    pub csrf: String,
    /// How long it lasts from now on.
    pub lifetime: Duration,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Text)]
    scope: String,
    #[diesel(sql_type = Text)]
    csrf: String,
    #[diesel(sql_type = Double)]
    seconds: f64,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Binary)]
    id_hash: Vec<u8>,
}

impl Store {
    /// Begins a session, and deletes those that ended.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn create_session(&self, id: &SessionHash, session: &Session) -> Result<(), StoreError> {
        let insert = diesel::sql_query(
            "WITH ended AS (DELETE FROM console_sessions WHERE expires_at <= now()) \
             INSERT INTO console_sessions (id_hash, expires_at, subject, scope, csrf) \
             VALUES ($1, now() + $2, $3, $4, $5)",
        );
        let insert = insert
            .bind::<Binary, _>(id.to_vec())
            .bind::<Interval, _>(interval(session.lifetime))
            .bind::<Text, _>(session.subject.clone())
            .bind::<Text, _>(session.scope.clone())
            .bind::<Text, _>(session.csrf.clone());
        self.pg.execute::<CreateSession, _>(insert).await?;
        Ok(())
    }

    /// The session with this id; `None` if it ended or never existed.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn session(&self, id: &SessionHash) -> Result<Option<Session>, StoreError> {
        let select = diesel::sql_query(
            "SELECT subject, scope, csrf, extract(epoch FROM expires_at - now())::float8 AS seconds \
             FROM console_sessions WHERE id_hash = $1 AND expires_at > now()",
        );
        let row: Option<Row> = self
            .pg
            .row::<SelectSession, _, _>(select.bind::<Binary, _>(id.to_vec()))
            .await?;
        Ok(row.map(|row| Session {
            subject: row.subject,
            scope: row.scope,
            csrf: row.csrf,
            lifetime: Duration::try_from_secs_f64(row.seconds).unwrap_or_default(),
        }))
    }

    /// Those of these sessions that have not ended. Polled, so it makes no span.
    ///
    /// # Errors
    /// PostgreSQL is unavailable.
    pub async fn open_sessions(&self, ids: &[SessionHash]) -> Result<Vec<SessionHash>, StoreError> {
        let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.to_vec()).collect();
        let select = diesel::sql_query(
            "SELECT id_hash FROM console_sessions WHERE id_hash = ANY ($1) AND expires_at > now()",
        );
        let rows = self
            .pg
            .rows::<SelectOpenSessions, _, Id>(select.bind::<Array<Binary>, _>(ids));
        let rows = telemetry::span::untraced(rows).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.id_hash.try_into().ok())
            .collect())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// PostgreSQL is unavailable. The session then ends by itself.
    pub async fn end_session(&self, id: &SessionHash) -> Result<(), StoreError> {
        let delete = diesel::sql_query("DELETE FROM console_sessions WHERE id_hash = $1");
        self.pg
            .execute::<DeleteSession, _>(delete.bind::<Binary, _>(id.to_vec()))
            .await?;
        Ok(())
    }
}
