//! The store's errors, by what a caller can do about them.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

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
    /// PostgreSQL ended the statement, at its timeout or when it was cancelled. It had no effect.
    #[error("PostgreSQL ended the statement")]
    Timeout(#[source] DieselError),
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
            Self::Unavailable(_) | Self::Busy | Self::NotReady(_) | Self::Timeout(_)
        )
    }
}

/// diesel-async passes on the SQLSTATE of a few errors only; the others are recognized by PostgreSQL's
/// message. With an `lc_messages` other than English, these become [`StoreError::Query`].
impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        let (kind, message) = match &error {
            DieselError::DatabaseError(kind, information) => (kind, information.message()),
            DieselError::DeserializationError(_) => return Self::Corrupt(error.into()),
            _ => return Self::Query(error),
        };
        match kind {
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            // After a failover, until the connection is replaced.
            | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable(error.into()),
            // 57P01, 57P02, 57P05
            _ if message.starts_with("terminating connection") => Self::Unavailable(error.into()),
            // 57P03
            _ if message.starts_with("the database system is") => Self::Unavailable(error.into()),
            // 57014, 55P03
            _ if message.starts_with("canceling statement due to") => Self::Timeout(error),
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
    fn a_caller_can_tell_what_to_do() {
        use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, UniqueViolation, Unknown};
        let shutdown = "terminating connection due to administrator command";
        assert!(matches!(
            database_error(Unknown, shutdown),
            StoreError::Unavailable(_)
        ));
        let starting = "the database system is starting up";
        assert!(matches!(
            database_error(Unknown, starting),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(
            database_error(ClosedConnection, ""),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(
            database_error(ReadOnlyTransaction, ""),
            StoreError::Unavailable(_)
        ));
        let cancelled = "canceling statement due to statement timeout";
        assert!(matches!(
            database_error(Unknown, cancelled),
            StoreError::Timeout(_)
        ));
        assert!(matches!(
            database_error(UniqueViolation, "duplicate key"),
            StoreError::Query(_)
        ));

        assert!(database_error(Unknown, shutdown).is_transient());
        assert!(database_error(Unknown, cancelled).is_transient());
        assert!(!database_error(UniqueViolation, "duplicate key").is_transient());
    }
}
