//! The trace context that a request brings.

use std::net::IpAddr;
use std::str::FromStr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;
use opentelemetry::{Context, global};

/// The longest accepted `tracestate`, in bytes: what the W3C requires. Each span of the trace has a copy.
const MAX_TRACESTATE_LEN: usize = 512;

static TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
static BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The client's address, where a trusted proxy named it. A middleware outside of `Tracing` inserts it into
/// the request's extensions; without it, `client.address` is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// How a caller's trace context is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inbound {
    /// Trust it: the request's span is its child, and its sampling decision holds.
    #[default]
    Parent,
    /// Start a new trace that links to it, without the caller's baggage.
    Link,
    /// Ignore it, and the baggage.
    Ignore,
}

impl FromStr for Inbound {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "parent" => Ok(Self::Parent),
            "link" => Ok(Self::Link),
            "ignore" => Ok(Self::Ignore),
            _ => Err(()),
        }
    }
}

impl Inbound {
    /// The parent of the request's span, and the context that the span links to.
    pub(super) fn contexts(self, request: &ServiceRequest) -> (Context, Option<Context>) {
        let caller = || {
            global::get_text_map_propagator(|propagator| {
                propagator.extract_with_context(&Context::new(), &Headers(request.headers()))
            })
        };
        match self {
            Self::Parent => (caller(), None),
            Self::Link => (Context::new(), Some(caller())),
            Self::Ignore => (Context::new(), None),
        }
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // A lookup by text allocates a name; `tests/allocations.rs` counts it.
        let mut values = match key {
            "traceparent" => self.0.get_all(&TRACE_PARENT),
            "tracestate" => self.0.get_all(&TRACE_STATE),
            "baggage" => self.0.get_all(&BAGGAGE),
            other => self.0.get_all(other),
        };
        let first = values.next()?.to_str().ok()?;
        let is_unusable = match key {
            // Two of them are ambiguous (W3C Trace Context, section 3.2).
            "traceparent" => values.next().is_some(),
            "tracestate" => first.len() > MAX_TRACESTATE_LEN,
            _ => false,
        };
        (!is_unusable).then_some(first)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
