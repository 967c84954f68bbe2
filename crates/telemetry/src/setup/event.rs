//! The origin and the name of an event. Events of the `log` crate arrive through `tracing-log`, which puts
//! their origin into fields.

use std::borrow::Cow;

use tracing::{Event, Level};
#[cfg(feature = "log")]
use tracing_log::NormalizeEvent;

/// The event's level and target.
pub(super) fn origin(event: &Event<'_>) -> (Level, Cow<'static, str>) {
    #[cfg(feature = "log")]
    if let Some(of_log) = event.normalized_metadata() {
        return (*of_log.level(), Cow::Owned(of_log.target().to_owned()));
    }
    let metadata = event.metadata();
    (*metadata.level(), Cow::Borrowed(metadata.target()))
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
