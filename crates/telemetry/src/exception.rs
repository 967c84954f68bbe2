//! Errors as log records: `exception.type` and `exception.message`, as the conventions have it, and correlated to the span by
//! being written inside it.
//!
//! `tracing::error!(error = %error)` gives a record with an attribute of its own making, and `error = &error as &dyn Error` one
//! without a type. [`log_error!`](crate::log_error) and [`log_warn!`](crate::log_warn) write both, followed by whatever else
//! `tracing::error!` takes:
//!
//! ```
//! use throughline_telemetry::{log_error, log_warn};
//!
//! let error = "x".parse::<i64>().unwrap_err();
//! log_error!(error, parcel.id = 7, "the parcel has no weight");
//! log_warn!(error, "trying again");
//! ```
//!
//! An `anyhow::Error` is no [`std::error::Error`] itself, but gives one: `log_error!(*error, "...")`.

use std::error::Error;

#[doc(hidden)]
pub use tracing;

/// Writes a log record of level ERROR about an error. See [`exception`](crate::exception).
#[macro_export]
macro_rules! log_error {
    ($error:expr, $($record:tt)+) => {{
        let error = &$error;
        $crate::exception::tracing::error!(
            exception.type = $crate::exception::type_of(error),
            exception.message = $crate::exception::message(error),
            $($record)+
        )
    }};
}

/// Writes a log record of level WARN about an error that something is still done about. See [`exception`](crate::exception).
#[macro_export]
macro_rules! log_warn {
    ($error:expr, $($record:tt)+) => {{
        let error = &$error;
        $crate::exception::tracing::warn!(
            exception.type = $crate::exception::type_of(error),
            exception.message = $crate::exception::message(error),
            $($record)+
        )
    }};
}

/// `exception.type`: the name of the error's type, as far as it is known where it is logged.
pub fn type_of<E: Error + ?Sized>(_: &E) -> &'static str {
    std::any::type_name::<E>().trim_start_matches('&')
}

/// `exception.message`: what the error says, then what its causes say, unless that is in it already.
pub fn message<E: Error + ?Sized>(error: &E) -> String {
    let mut message = error.to_string();
    let mut said = message.clone();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        said = text;
        next = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the parcel is lost")]
    struct Lost(#[source] std::num::ParseIntError);

    #[derive(Debug, thiserror::Error)]
    #[error("gone: {0}")]
    struct Gone(#[source] std::num::ParseIntError);

    #[test]
    fn an_error_says_its_type_and_its_causes_once() {
        let cause = || "x".parse::<i64>().unwrap_err();
        let lost = Lost(cause());
        assert!(type_of(&lost).ends_with("::Lost"));
        assert!(type_of(&&lost).ends_with("::Lost"));
        assert!(!type_of(&&lost).starts_with('&'));
        assert_eq!(
            message(&lost),
            "the parcel is lost: invalid digit found in string"
        );
        assert_eq!(message(&Gone(cause())), "gone: invalid digit found in string");
    }
}
