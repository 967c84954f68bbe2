//! Panics as log records with `exception.type`, `exception.message` and the span they occurred in. The
//! standard library's hook writes the message to stderr, where nothing masks it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::Level;

use crate::names;

/// `exception.type` of a panic.
const TYPE: &str = "panic";

pub(super) fn install() {
    std::panic::set_hook(Box::new(|panic| {
        if tracing::event_enabled!(Level::ERROR) {
            record(panic);
        } else {
            // With log lines switched off, the reason why a thread ended is still visible.
            eprintln!("{}", mask::text(&panic.to_string()));
        }
    }));
}

fn record(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let at = at.unwrap_or_else(|| "an unknown location".to_owned());
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    // Captured only if RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    let stacktrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        { names::EXCEPTION_TYPE } = TYPE,
        { names::EXCEPTION_MESSAGE } = message,
        { names::EXCEPTION_STACKTRACE } = stacktrace,
        "panicked at {at}"
    );
}
