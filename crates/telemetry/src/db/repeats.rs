//! Detects a statement that runs many times within one request, most often a loop with one query per row. The
//! server middleware adds a [`Repeats`] to the request's context, [`super::server`] counts, and the end of
//! the request reports.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{Context, KeyValue};

use crate::names;
use crate::operation::Operation;

/// Runs of the same statement from which it is reported.
const SUSPECTED_FROM_RUNS: u32 = 10;

/// The statements of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats(Arc<Mutex<Vec<Runs>>>);

#[derive(Debug)]
struct Runs {
    comment: &'static str,
    summary: &'static str,
    text: Option<&'static str>,
    count: u32,
}

/// Counts a run of a statement for the request that the context belongs to. The comment distinguishes
/// statements with the same summary.
pub(crate) fn count(
    context: &Context,
    comment: &'static str,
    summary: &'static str,
    text: impl FnOnce() -> Option<&'static str>,
) {
    let Some(Repeats(runs)) = context.get() else {
        return;
    };
    let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |runs: &&mut Runs| runs.comment == comment && runs.summary == summary;
    match runs.iter_mut().find(same) {
        Some(runs) => runs.count = runs.count.saturating_add(1),
        None => runs.push(Runs {
            comment,
            summary,
            text: text(),
            count: 1,
        }),
    }
}

impl Repeats {
    /// Marks the request's span, and logs each suspected statement.
    pub(crate) fn report(&self, request: &Operation) {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suspects = || runs.iter().filter(|runs| runs.count >= SUSPECTED_FROM_RUNS);
        if suspects().next().is_none() {
            return;
        }
        request.set_attributes(|| [KeyValue::new(names::DB_N_PLUS_ONE_SUSPECTED, true)]);
        let _entered = request.context().clone().attach();
        for Runs {
            summary, text, count, ..
        } in suspects()
        {
            tracing::warn!(
                { names::DB_QUERY_SUMMARY } = summary,
                { names::DB_QUERY_TEXT } = text,
                "`{summary}` ran {count} times in one request"
            );
        }
    }
}
