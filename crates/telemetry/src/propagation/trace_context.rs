//! The W3C's `traceparent` and `tracestate` (<https://www.w3.org/TR/trace-context/>). The SDK's propagator takes ids of fewer
//! digits than the rule has, sends an empty `tracestate`, and makes each id a text of its own on the way.

use std::str::FromStr;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// The length of a `traceparent` of version 00: `00-{32 digits}-{16 digits}-{2 digits}`.
const LENGTH: usize = 55;

/// Reads and writes both fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceContextPropagator;

impl TextMapPropagator for TraceContextPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        injector.set(PARENT, written(span));
        let state = span.trace_state().header();
        if !state.is_empty() {
            injector.set(STATE, state);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some(parent) = extractor.get(PARENT).and_then(read) else {
            return context.clone();
        };
        // One that cannot be read does not make the parent unreadable (section 3.3).
        let state = extractor
            .get(STATE)
            .and_then(|state| TraceState::from_str(state).ok())
            .unwrap_or_default();
        let Parent {
            trace_id,
            span_id,
            flags,
        } = parent;
        let span = SpanContext::new(trace_id, span_id, flags, true, state);
        context.with_remote_span_context(span)
    }

    fn fields(&self) -> FieldIter<'_> {
        static FIELDS: LazyLock<[String; 2]> = LazyLock::new(|| [PARENT.to_owned(), STATE.to_owned()]);
        FieldIter::new(FIELDS.as_slice())
    }
}

/// What a `traceparent` says.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

/// `None` where the text is not one that the W3C allows. A version above 00 may have more behind what 00 has (section 3.2.2).
fn read(text: &str) -> Option<Parent> {
    let (known, rest) = text.trim().as_bytes().split_first_chunk::<LENGTH>()?;
    let [v1, v2, b'-', ids @ .., b'-', f1, f2] = known else {
        return None;
    };
    let (trace_id, parent_id) = ids.split_first_chunk::<32>()?;
    let [b'-', parent_id @ ..] = parent_id else {
        return None;
    };
    let is_whole = match number(&[*v1, *v2])? {
        0xff => false,
        0 => rest.is_empty(),
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let trace_id = TraceId::from(number(trace_id)?);
    let span_id = SpanId::from(u64::try_from(number(parent_id)?).ok()?);
    let flags = TraceFlags::new(u8::try_from(number(&[*f1, *f2])?).ok()?);
    let is_valid = is_whole && trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    // Flags that are not known are not passed on (section 3.2.2.5.2).
    let flags = flags & TraceFlags::SAMPLED;
    is_valid.then_some(Parent {
        trace_id,
        span_id,
        flags,
    })
}

/// What 32 hexadecimal digits or fewer stand for. Those above 9 must be in lower case.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn written(span: &SpanContext) -> String {
    let mut text = String::with_capacity(LENGTH);
    text.push_str("00-");
    push_digits(&mut text, &span.trace_id().to_bytes());
    text.push('-');
    push_digits(&mut text, &span.span_id().to_bytes());
    text.push_str(match span.is_sampled() {
        true => "-01",
        false => "-00",
    });
    text
}

fn push_digits(text: &mut String, bytes: &[u8]) {
    let digit = |value: u8| {
        char::from(match value {
            0..=9 => b'0' + value,
            _ => b'a' + value - 10,
        })
    };
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn what_is_written_is_read_again() {
        for (flags, sampled) in [("00", false), ("01", true)] {
            let text = format!("00-{TRACE}-{SPAN}-{flags}");
            let parent = read(&text).unwrap();
            assert_eq!(parent.flags.is_sampled(), sampled);
            let Parent {
                trace_id,
                span_id,
                flags,
            } = parent;
            let span = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
            assert_eq!(written(&span), text);
        }
    }

    #[test]
    fn a_version_to_come_is_read_as_far_as_it_is_known() {
        let sampled = read(&format!("00-{TRACE}-{SPAN}-01"));
        assert!(sampled.is_some());
        for text in [
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-holds"),
            format!(" 00-{TRACE}-{SPAN}-ff "),
        ] {
            assert_eq!(read(&text), sampled, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        for text in [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01."),
            format!("cc-{TRACE}-{SPAN}-01."),
            format!("00-{TRACE}-{SPAN}"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{}-001", &SPAN[1..]),
            format!("00-{}-{SPAN}-01", TRACE.replace('a', "g")),
            format!("00-{}-{SPAN}-01", TRACE.replace("0a", "\u{e4}")),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
