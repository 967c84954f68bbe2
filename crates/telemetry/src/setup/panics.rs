//! Panics as log records: `exception.type`, `exception.message`, and the span that they happened in. The hook of the standard
//! library would write what a panic says to stderr, where nothing masks it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::Level;

/// `exception.type` of a panic.
const TYPE: &str = "panic";

pub(super) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        if tracing::event_enabled!(Level::ERROR) {
            record(panic);
        } else {
            // Whoever wants no log lines at all still sees why a thread ended.
            eprintln!("{}", mask::text(&panic.to_string()));
        }
    }));
}

fn record(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let at = at.unwrap_or_else(|| "an unknown place".to_owned());
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // Only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let stacktrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        exception.type = TYPE,
        exception.message = message,
        exception.stacktrace = stacktrace,
        "panicked at {at}"
    );
}
