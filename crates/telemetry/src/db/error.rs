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

/// PostgreSQL's messages for its own timeouts, and their SQLSTATE. diesel-async passes on only the message;
/// from a server whose messages are not in English, these errors are `database_error`.
const TIMEOUTS: [(&str, &str); 3] = [
    ("canceling statement due to statement timeout", "57014"),
    ("canceling statement due to lock timeout", "55P03"),
    (
        "terminating connection due to idle-in-transaction timeout",
        "25P03",
    ),
];

fn timeout(message: &str) -> Option<&'static str> {
    let known = TIMEOUTS.iter().find(|(text, _)| *text == message);
    known.map(|(_, state)| *state)
}

/// `error.type`. A missing row is a result, not an error.
pub(super) fn error_type(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound => None,
        Error::DatabaseError(kind, information) => Some(match kind {
            DatabaseErrorKind::ClosedConnection if information.message().starts_with(NO_RESPONSE) => {
                "timeout"
            }
            DatabaseErrorKind::Unknown if timeout(information.message()).is_some() => "timeout",
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

/// The SQLSTATE of errors that have exactly one. diesel does not pass on the others.
pub(super) fn sqlstate(error: &Error) -> Option<&'static str> {
    let Error::DatabaseError(kind, information) = error else {
        return None;
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::ExclusionViolation => Some("23P01"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        DatabaseErrorKind::Unknown => timeout(information.message()),
        _ => None,
    }
}
