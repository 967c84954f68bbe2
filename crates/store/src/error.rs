//! The store's errors, by what a caller can do about them.

use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use telemetry::db::sqlstate;
use tokio_postgres::error::SqlState;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync>;

/// Why a call failed. Cheap to clone: a statement that carries many calls fails for each of them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The settings are invalid. The text never contains the URL.
    #[error("{0}")]
    Config(String),
    /// PostgreSQL is unreachable, starting or shutting down, or the connection broke. Whether the statement
    /// took effect is unknown.
    #[error("PostgreSQL is not available")]
    Unavailable(#[source] SharedError),
    /// No connection of the pool became free within the timeout, or too many callers were waiting already.
    #[error("no connection of the pool was free in time")]
    Busy,
    /// PostgreSQL responds but cannot serve: it is a standby, or lacks the schema.
    #[error("PostgreSQL is reached, but {0}")]
    NotReady(&'static str),
    /// PostgreSQL ended the statement: at its timeout, when it was cancelled, in a deadlock, or for lack of
    /// memory or disk space. It had no effect.
    #[error("PostgreSQL ended the statement")]
    Aborted(#[source] Arc<DieselError>),
    /// This version of the program cannot read a stored row.
    #[error("a stored row cannot be read")]
    Corrupt(#[source] SharedError),
    /// PostgreSQL rejected the statement: an error in the program or the schema.
    #[error("PostgreSQL rejected the statement")]
    Query(#[source] Arc<DieselError>),
    /// A migration failed; it and the following ones are not applied.
    #[error("cannot apply the migrations")]
    Migration(#[source] SharedError),
}

impl StoreError {
    pub(crate) fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into().into())
    }

    pub(crate) fn corrupt(error: impl Into<BoxError>) -> Self {
        Self::Corrupt(error.into().into())
    }

    /// The error as diesel reports it, if a statement failed.
    pub(crate) fn of_statement(&self) -> Option<&DieselError> {
        match self {
            Self::Query(error) | Self::Aborted(error) => Some(error),
            Self::Unavailable(error) | Self::Corrupt(error) => error.downcast_ref(),
            _ => None,
        }
    }

    pub(crate) fn migration(error: impl Into<BoxError>) -> Self {
        Self::Migration(error.into().into())
    }

    /// A statement that returns a row returned none.
    pub(crate) fn no_row() -> Self {
        Self::Query(Arc::new(DieselError::NotFound))
    }

    /// Whether the same call may succeed in a moment.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Busy | Self::NotReady(_) | Self::Aborted(_)
        )
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        let kind = match &error {
            DieselError::DatabaseError(kind, _) => kind,
            DieselError::DeserializationError(_) => return Self::Corrupt(Arc::new(error)),
            _ => return Self::Query(Arc::new(error)),
        };
        let Some(state) = sqlstate(&error).map(SqlState::from_code) else {
            return match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                    Self::unavailable(error)
                }
                _ => Self::Query(Arc::new(error)),
            };
        };
        match state {
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_SESSION_TIMEOUT
            | SqlState::TOO_MANY_CONNECTIONS
            // After a failover, until the connection is replaced.
            | SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Self::unavailable(error),
            SqlState::QUERY_CANCELED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::INSUFFICIENT_RESOURCES
            | SqlState::DISK_FULL
            | SqlState::OUT_OF_MEMORY
            | SqlState::IO_ERROR => Self::Aborted(Arc::new(error)),
            // Connection exceptions; PgBouncer's own errors are of this class too.
            state if state.code().starts_with("08") => Self::unavailable(error),
            _ => Self::Query(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_error(kind: DatabaseErrorKind, message: &str) -> StoreError {
        DieselError::DatabaseError(kind, Box::new(message.to_owned())).into()
    }

    #[test]
    fn the_sqlstate_says_what_a_caller_can_do_in_any_language() {
        use DatabaseErrorKind::{ClosedConnection, UnableToSendCommand, UniqueViolation, Unknown};
        for kind in [ClosedConnection, UnableToSendCommand] {
            assert!(matches!(database_error(kind, ""), StoreError::Unavailable(_)));
        }
        for state in [
            "08006", "08P01", "25006", "53300", "57P01", "57P02", "57P03", "57P05", "40003",
        ] {
            let error = database_error(Unknown, &format!("{state}: le serveur s'arrête"));
            assert!(matches!(error, StoreError::Unavailable(_)), "{state}: {error:?}");
            assert!(error.is_transient());
        }
        for state in [
            "40001", "40P01", "53000", "53100", "53200", "55P03", "57014", "58030",
        ] {
            let error = database_error(Unknown, &format!("{state}: annulation"));
            assert!(matches!(error, StoreError::Aborted(_)), "{state}: {error:?}");
            assert!(error.is_transient());
        }
        for error in [
            database_error(UniqueViolation, "23505: duplicate key"),
            database_error(Unknown, "42P01: relation \"orders\" does not exist"),
            database_error(Unknown, "canceling statement due to statement timeout"),
        ] {
            assert!(matches!(error, StoreError::Query(_)), "{error:?}");
            assert!(!error.is_transient());
        }
    }
}
