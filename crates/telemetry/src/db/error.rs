//! What went wrong with a statement, in words of a bounded set.

use std::borrow::Cow;

use diesel::result::{DatabaseErrorKind, Error};

use crate::operation::ErrorType;

/// `error.type`. A row that is not there is an answer, not an error.
pub(super) fn error_type(error: &Error) -> Option<ErrorType> {
    match error {
        Error::NotFound => None,
        Error::DatabaseError(kind, _) => Some(Cow::Borrowed(match kind {
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
        })),
        Error::QueryBuilderError(_) | Error::SerializationError(_) => Some(Cow::Borrowed("encode")),
        Error::DeserializationError(_) => Some(Cow::Borrowed("decode")),
        _ => Some(Cow::Borrowed("other")),
    }
}

/// The SQLSTATE, for the kinds of error that have exactly one. diesel does not pass on the others.
pub(super) fn sqlstate(error: &Error) -> Option<&'static str> {
    let Error::DatabaseError(kind, _) = error else {
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
        _ => None,
    }
}
