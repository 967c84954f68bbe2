//! The origin of an event. Events of the `log` crate arrive through `tracing-log`, which puts theirs into
//! fields.

use std::borrow::Cow;

use tracing::{Event, Level};
use tracing_log::NormalizeEvent;

/// The event's level and target.
pub(super) fn origin(event: &Event<'_>) -> (Level, Cow<'static, str>) {
    match event.normalized_metadata() {
        Some(of_log) => (*of_log.level(), Cow::Owned(of_log.target().to_owned())),
        None => {
            let metadata = event.metadata();
            (*metadata.level(), Cow::Borrowed(metadata.target()))
        }
    }
}

/// Whether a field is not of the event, but of its origin.
pub(super) fn is_of_log_crate(field: &str) -> bool {
    field.starts_with("log.")
}
