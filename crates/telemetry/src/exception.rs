//! Errors in log records: the fields that become `exception.type` and `exception.message`.
//!
//! ```
//! use throughline_telemetry::exception;
//!
//! let error = "seven".parse::<u8>().unwrap_err();
//! tracing::warn!(exception.type = exception::type_of(&error), error = exception::of(&error), "not a number");
//! ```

use std::error::Error;

/// `exception.type`: the error's type, by its path. One of as many as the program has.
pub fn type_of<E: Error>(_: &E) -> &'static str {
    std::any::type_name::<E>()
}

/// The error as an event's field `error`, whose text becomes `exception.message`.
pub fn of<E: Error + 'static>(error: &E) -> &(dyn Error + 'static) {
    error
}
