//! Errors as log records of the current span, with the conventions' `exception.type` and `exception.message`.
//!
//! Of `tracing::error!(error = %error)` the record has the message, without causes, and as its type the
//! module that logged it. [`log_error!`](crate::log_error) and [`log_warn!`](crate::log_warn) set the error's
//! own type and all causes; their further arguments are those of `tracing::error!`:
//!
//! ```
//! use throughline_telemetry::{log_error, log_warn};
//!
//! let error = "x".parse::<i64>().unwrap_err();
//! log_error!(error, parcel.id = 7, "the parcel has no weight");
//! log_warn!(error, "trying again");
//! ```
//!
//! An `anyhow::Error` is not a [`std::error::Error`], but dereferences to one: `log_error!(*error, "...")`.

use std::error::Error;

#[doc(hidden)]
pub use tracing;

/// Logs an error at level ERROR. See [`exception`](crate::exception).
#[macro_export]
macro_rules! log_error {
    ($error:expr, $($record:tt)+) => {{
        let error = &$error;
        $crate::exception::tracing::error!(
            { $crate::names::EXCEPTION_TYPE } = $crate::exception::type_of(error),
            { $crate::names::EXCEPTION_MESSAGE } = $crate::exception::message(error),
            $($record)+
        )
    }};
}

/// Logs an error at level WARN, for one that the service still handles. See [`exception`](crate::exception).
#[macro_export]
macro_rules! log_warn {
    ($error:expr, $($record:tt)+) => {{
        let error = &$error;
        $crate::exception::tracing::warn!(
            { $crate::names::EXCEPTION_TYPE } = $crate::exception::type_of(error),
            { $crate::names::EXCEPTION_MESSAGE } = $crate::exception::message(error),
            $($record)+
        )
    }};
}

/// `exception.type`: the name of the error's static type.
pub fn type_of<E: Error + ?Sized>(_: &E) -> &'static str {
    std::any::type_name::<E>().trim_start_matches('&')
}

/// `exception.message`: the error's message, and those of its causes that it does not contain.
pub fn message<E: Error + ?Sized>(error: &E) -> String {
    let mut message = error.to_string();
    let mut previous = message.clone();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !previous.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        previous = text;
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
    fn an_error_has_its_type_and_each_cause_once() {
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
