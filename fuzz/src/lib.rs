//! What each fuzz target does with its input. A target fails by a panic: one of the code under test, or one
//! of the assertions here.
//!
//! ```sh
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run --features libfuzzer order_body
//! ```
//!
//! `corpus/` has the seeds. `tests/replay.rs` runs all targets on them, with any compiler.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a target reports what it finds by a panic"
)]

use lens::fuzzing::Signal;

/// One of the functions below.
pub type Target = fn(&[u8]);

/// By the names of their corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("order_body", order_body),
    ("cursor", cursor),
    ("trace_context", trace_context),
    ("export", export),
    ("job", job),
    ("mask", mask),
];

/// The body of `POST /api/orders`: an order, or a problem that is JSON and not large.
pub fn order_body(data: &[u8]) {
    if let Err(problem) = api::fuzzing::order_body(data) {
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&problem);
        assert!(read.is_ok_and(|problem| problem.is_object()));
        assert!(problem.len() <= 64 * 1024, "{} bytes", problem.len());
    }
}

/// The cursor of a list: what is accepted is written the same way again.
pub fn cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(written) = api::fuzzing::cursor(&text) {
        assert_eq!(api::fuzzing::cursor(&written).as_ref(), Some(&written));
    }
}

/// `traceparent`, and behind a line feed `tracestate`: what is sent on is valid, and the same again.
pub fn trace_context(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (parent, state) = text.split_once('\n').unwrap_or((&text, ""));
    if let Some((parent, state)) = telemetry::fuzzing::trace_context(parent, state) {
        assert_eq!(parent.len(), 55, "{parent}");
        let again = telemetry::fuzzing::trace_context(&parent, &state);
        assert_eq!(again, Some((parent, state)));
    }
}

/// An export to lens: the first byte selects the signal and the encoding. What is accepted is drawn.
pub fn export(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let signal = match first % 3 {
        0 => Signal::Traces,
        1 => Signal::Logs,
        _ => Signal::Metrics,
    };
    lens::fuzzing::export(signal, first & 0x80 != 0, body);
}

/// A job's payload in Redis: what is read is written and read again.
pub fn job(data: &[u8]) {
    let Ok(job) = serde_json::from_slice::<domain::ProcessOrder>(data) else {
        return;
    };
    let _ = (job.job_id(), job.trace.trace_id());
    let written = serde_json::to_vec(&job).expect("a job is JSON");
    let again: domain::ProcessOrder = serde_json::from_slice(&written).expect("what is written is read");
    assert_eq!(again, job);
}

/// A text of telemetry, by the rules and the optional patterns: a part of it is masked as the whole is.
pub fn mask(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // A cut looks 1,024 bytes ahead.
    if text.len() > 1024 {
        mask::text(&text);
        return;
    }
    let whole = mask::text(&text);
    for cut in [0, 7, 32, text.len() / 2] {
        let part = mask::prefix(&text, cut);
        assert!(part.len() <= cut + 16, "{part}");
        let same = part
            .bytes()
            .zip(whole.bytes())
            .take_while(|(one, other)| one == other);
        assert_eq!(same.count(), part.len(), "{part} is no start of {whole}");
    }
    let (name, value) = text.split_once('=').unwrap_or(("", &text));
    mask::field(name, value, 100);
    for pattern in [mask::IBAN, mask::NATIONAL_ID] {
        if let Some(range) = (pattern.find)(&text) {
            assert!(text.get(range).is_some_and(|found| !found.is_empty()));
        }
    }
}
