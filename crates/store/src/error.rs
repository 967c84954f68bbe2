//! The store's errors, by what a caller can do about them.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use telemetry::db::sqlstate;
use tokio_postgres::error::SqlState;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The settings are invalid. The text never contains the URL.
    #[error("{0}")]
    Config(String),
    /// PostgreSQL is unreachable, starting or shutting down, or the connection broke. Whether the statement
    /// took effect is unknown.
    #[error("PostgreSQL is not available")]
    Unavailable(#[source] BoxError),
    /// No connection of the pool became free within the timeout, or too many callers were waiting already.
    #[error("no connection of the pool was free in time")]
    Busy,
    /// PostgreSQL responds but cannot serve: it is a standby, or lacks the schema.
    #[error("PostgreSQL is reached, but {0}")]
    NotReady(&'static str),
    /// PostgreSQL ended the statement: at its timeout, when it was cancelled, in a deadlock, or for lack of
    /// memory or disk space. It had no effect.
    #[error("PostgreSQL ended the statement")]
    Aborted(#[source] DieselError),
    /// This version of the program cannot read a stored row.
    #[error("a stored row cannot be read")]
    Corrupt(#[source] BoxError),
    /// PostgreSQL rejected the statement: an error in the program or the schema.
    #[error("PostgreSQL rejected the statement")]
    Query(#[source] DieselError),
    /// A migration failed; it and the following ones are not applied.
    #[error("cannot apply the migrations")]
    Migration(#[source] BoxError),
}

impl StoreError {
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
            DieselError::DeserializationError(_) => return Self::Corrupt(error.into()),
            _ => return Self::Query(error),
        };
        let Some(state) = sqlstate(&error).map(SqlState::from_code) else {
            return match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                    Self::Unavailable(error.into())
                }
                _ => Self::Query(error),
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
            | SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Self::Unavailable(error.into()),
            SqlState::QUERY_CANCELED
            | SqlState::LOCK_NOT_AVAILABLE
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::INSUFFICIENT_RESOURCES
            | SqlState::DISK_FULL
            | SqlState::OUT_OF_MEMORY
            | SqlState::IO_ERROR => Self::Aborted(error),
            // Connection exceptions; PgBouncer's own errors are of this class too.
            state if state.code().starts_with("08") => Self::Unavailable(error.into()),
            _ => Self::Query(error),
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
