//! The OTLP receiver that tests export to, and waiting for the traces that a test expects.

use std::cell::RefCell;
use std::time::Duration;

use lens::{LensConfig, TelemetryStore, Trace};

use crate::eventually;

/// Spans are exported in batches, and the machine may be busy.
const TRACE_TIMEOUT: Duration = Duration::from_secs(60);

/// A private OTLP receiver. It stops when dropped.
#[derive(Debug)]
pub struct Lens(lens::Lens);

/// Starts an OTLP receiver on free ports.
///
/// # Errors
/// When it cannot listen.
pub async fn lens() -> anyhow::Result<Lens> {
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        ..LensConfig::default()
    };
    Ok(Lens(lens::Lens::start(config).await?))
}

impl Lens {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        self.0.otlp_http_url()
    }

    /// The URL of its page.
    #[must_use]
    pub fn page_url(&self) -> String {
        self.0.page_url()
    }

    /// Everything that was received.
    #[must_use]
    pub fn store(&self) -> &TelemetryStore {
        self.0.store()
    }

    /// The trace of this order, as soon as it is `complete`.
    ///
    /// # Panics
    /// When there is none after a minute; the message shows the spans that arrived.
    pub async fn trace_of_order(&self, order_id: &str, complete: impl Fn(&Trace) -> bool) -> Trace {
        let what = format!("the complete trace of order {order_id}");
        self.first_trace(&what, |store| store.find_by_order(order_id), complete)
            .await
    }

    /// The first trace with a span of this name, as soon as it is `complete`.
    ///
    /// # Panics
    /// As [`Lens::trace_of_order`].
    pub async fn trace_with_span(&self, name: &str, complete: impl Fn(&Trace) -> bool) -> Trace {
        let has_span = |trace: &Trace| trace.spans.iter().any(|span| span.name == name);
        let find = |store: &TelemetryStore| store.traces().into_iter().filter(has_span).collect();
        self.first_trace(&format!("a complete trace with the span {name}"), find, complete)
            .await
    }

    async fn first_trace(
        &self,
        what: &str,
        find: impl Fn(&TelemetryStore) -> Vec<Trace>,
        complete: impl Fn(&Trace) -> bool,
    ) -> Trace {
        let seen = Seen {
            what,
            traces: RefCell::default(),
        };
        eventually(what, TRACE_TIMEOUT, || {
            let found = find(self.store());
            let first = found.iter().find(|trace| complete(trace)).cloned();
            seen.traces.replace(found);
            std::future::ready(first)
        })
        .await
    }
}

/// Prints the traces that arrived when the wait for one fails.
struct Seen<'a> {
    what: &'a str,
    traces: RefCell<Vec<Trace>>,
}

impl Drop for Seen<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        eprintln!("instead of {}, these traces arrived:", self.what);
        for trace in self.traces.borrow().iter() {
            eprintln!("trace {}", trace.trace_id);
            for row in trace.tree().rows() {
                eprintln!("  {}{} [{}]", row.branch, row.span.name, row.span.service);
            }
        }
    }
}
