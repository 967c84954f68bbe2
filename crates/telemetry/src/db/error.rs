//! The `error.type` and the SQLSTATE of a failed statement.

use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error};

/// The start of the message of [`no_response`], which identifies its errors.
const NO_RESPONSE: &str = "no response from PostgreSQL within ";

/// The error of a statement that timed out at its caller after `timeout`: its `error.type` is `timeout`. The
/// connection must not be used again, so the kind is [`DatabaseErrorKind::ClosedConnection`].
pub fn no_response(timeout: Duration) -> Error {
    let message = format!("{NO_RESPONSE}{timeout:?}");
    Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(message))
}

/// `error.type`. A missing row is a result, not an error.
pub(super) fn error_type(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound => None,
        Error::DatabaseError(kind, information) => Some(match kind {
            DatabaseErrorKind::ClosedConnection if information.message().starts_with(NO_RESPONSE) => {
                "timeout"
            }
            // Timeouts of a statement, of a lock, and of an idle transaction.
            DatabaseErrorKind::Unknown if matches!(sqlstate(error), Some("57014" | "55P03" | "25P03")) => {
                "timeout"
            }
            DatabaseErrorKind::UniqueViolation => "unique_violation",
            DatabaseErrorKind::ForeignKeyViolation => "foreign_key_violation",
            DatabaseErrorKind::NotNullViolation => "not_null_violation",
            DatabaseErrorKind::CheckViolation => "check_violation",
            DatabaseErrorKind::ExclusionViolation => "exclusion_violation",
            DatabaseErrorKind::SerializationFailure => "serialization_failure",
            DatabaseErrorKind::ReadOnlyTransaction => "read_only_transaction",
            DatabaseErrorKind::ClosedConnection => "connection_closed",
            DatabaseErrorKind::UnableToSendCommand => "connection_failed",
            _ => "database_error",
        }),
        Error::QueryBuilderError(_) | Error::SerializationError(_) => Some("encode"),
        Error::DeserializationError(_) => Some("decode"),
        _ => Some("other"),
    }
}

/// The SQLSTATE of an error. diesel has no field for it: a connection may put it at the start of the message,
/// as psql's verbose messages have it (`57014: canceling statement due to statement timeout`). Without that,
/// it is known where a kind of error has exactly one.
pub fn sqlstate(error: &Error) -> Option<&str> {
    let Error::DatabaseError(kind, information) = error else {
        return None;
    };
    if let Some((state, _)) = information.message().split_once(": ")
        && state.len() == 5
        && state
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && state.bytes().any(|byte| byte.is_ascii_digit())
    {
        return Some(state);
    }
    match kind {
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::ExclusionViolation => Some("23P01"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        _ => None,
    }
}
