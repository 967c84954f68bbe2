//! The origin and the name of an event. Events of the `log` crate arrive through `tracing-log`, which puts
//! their origin into fields.

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

/// The event's name, if it was given one, as in `tracing::warn!(name: "parcel.lost", "...")`. Otherwise
/// `tracing` names it by its place in the source: `event src/parcels.rs:7`.
pub(super) fn name(event: &Event<'_>) -> Option<&'static str> {
    let name = event.metadata().name();
    (!name.contains(' ')).then_some(name)
}

/// Whether a field is not of the event, but of its origin.
pub(super) fn is_of_log_crate(field: &str) -> bool {
    field.starts_with("log.")
}
