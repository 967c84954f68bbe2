//! Statements that run again and again within one request: most often a loop that asks for each row by itself (`n + 1`). The
//! server middleware puts a count into the request's context, [`crate::db`] counts, and the request's end tells.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{Context, KeyValue};

use crate::db::Statement;
use crate::names;
use crate::operation::Operation;

/// From how many runs of the same statement on a request is suspected.
const SUSPECTED: u32 = 10;

/// The statements of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeats(Arc<Mutex<Vec<Runs>>>);

#[derive(Debug)]
struct Runs {
    /// Tells statements of the same summary apart.
    comment: &'static str,
    summary: &'static str,
    text: Option<&'static str>,
    count: u32,
}

/// Counts a run of the statement for the request that the context belongs to.
pub(crate) fn note<S: Statement>(context: &Context) {
    let Some(Repeats(runs)) = context.get() else {
        return;
    };
    let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |runs: &&mut Runs| runs.comment == S::COMMENT && runs.summary == S::SUMMARY;
    match runs.iter_mut().find(same) {
        Some(runs) => runs.count = runs.count.saturating_add(1),
        None => runs.push(Runs {
            comment: S::COMMENT,
            summary: S::SUMMARY,
            text: S::text().get().map(String::as_str),
            count: 1,
        }),
    }
}

impl Repeats {
    /// Marks the request's span, and writes a log record for each suspect.
    pub(crate) fn tell(&self, request: &Operation) {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let suspects = || runs.iter().filter(|runs| runs.count >= SUSPECTED);
        if suspects().next().is_none() {
            return;
        }
        request.describe(|| [KeyValue::new(names::DB_N_PLUS_ONE_SUSPECTED, true)]);
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
