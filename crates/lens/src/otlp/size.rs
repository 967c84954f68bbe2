//! How much memory an export takes once it is decoded, found by a scan of its bytes before that: an empty
//! span is 2 bytes in protobuf and 264 in memory, so 16 KB of gzip could become gigabytes.
//!
//! The scan knows which fields of OTLP's messages are messages, because the encoding does not say.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};

use super::wire::{Field, Fields, Malformed};

/// The peak of an item's memory, in its sizes: its list doubles, and it is converted into lens' own type.
const PER_ITEM: usize = 5;
/// The same for attributes, their values, and lists of numbers and texts.
const PER_ATTRIBUTE: usize = 3;
/// The memory of an object in JSON, which may be a span without ids, or an attribute.
const PER_OBJECT: usize = 3 * size_of::<Span>();
/// More than one byte of an export can take.
const MAX_PER_BYTE: usize = PER_ITEM * size_of::<Span>();
const _: () = assert!(size_of::<metrics::ExponentialHistogramDataPoint>() <= size_of::<Span>());
/// Deeper messages are malformed, as for prost.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oversize {
    /// The decoded export would take more than the limit.
    TooLarge,
    Malformed(Malformed),
}

/// A type of message: its size in memory, and the numbers of those of its fields that are messages.
pub(crate) struct Message {
    size: usize,
    messages: &'static [(u64, &'static Message)],
    /// Memory for each other field, if it may be repeated.
    per_field: usize,
    /// Memory for each byte of another field: a packed integer is one byte here and eight in memory.
    per_byte: usize,
}

impl Message {
    const fn of<T>(messages: &'static [(u64, &'static Self)]) -> Self {
        Self {
            size: PER_ITEM * size_of::<T>(),
            messages,
            per_field: 0,
            per_byte: 1,
        }
    }

    const fn attribute<T>(messages: &'static [(u64, &'static Self)]) -> Self {
        Self {
            size: PER_ATTRIBUTE * size_of::<T>(),
            ..Self::of::<T>(messages)
        }
    }

    const fn with_repeated<T>(self) -> Self {
        Self {
            per_field: PER_ATTRIBUTE * size_of::<T>(),
            per_byte: PER_ATTRIBUTE * size_of::<T>(),
            ..self
        }
    }
}

pub(crate) static TRACES: Message = Message::of::<()>(&[(1, &RESOURCE_SPANS)]);
pub(crate) static LOGS: Message = Message::of::<()>(&[(1, &RESOURCE_LOGS)]);
pub(crate) static METRICS: Message = Message::of::<()>(&[(1, &RESOURCE_METRICS)]);

static RESOURCE_SPANS: Message = Message::of::<ResourceSpans>(&[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Message = Message::of::<ScopeSpans>(&[(1, &SCOPE), (2, &SPAN)]);
static SPAN: Message = Message::of::<Span>(&[(9, &KEY_VALUE), (11, &EVENT), (13, &LINK), (15, &STATUS)]);
static EVENT: Message = Message::of::<span::Event>(&[(3, &KEY_VALUE)]);
static LINK: Message = Message::of::<span::Link>(&[(4, &KEY_VALUE)]);
static STATUS: Message = Message::of::<Status>(&[]);

static RESOURCE_LOGS: Message = Message::of::<ResourceLogs>(&[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Message = Message::of::<ScopeLogs>(&[(1, &SCOPE), (2, &LOG_RECORD)]);
static LOG_RECORD: Message = Message::of::<LogRecord>(&[(5, &ANY_VALUE), (6, &KEY_VALUE)]);

static RESOURCE_METRICS: Message =
    Message::of::<metrics::ResourceMetrics>(&[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Message = Message::of::<metrics::ScopeMetrics>(&[(1, &SCOPE), (2, &METRIC)]);
static METRIC: Message = Message::of::<metrics::Metric>(&[
    (5, &NUMBERS),
    (7, &NUMBERS),
    (9, &HISTOGRAM),
    (10, &EXPONENTIAL_HISTOGRAM),
    (11, &SUMMARY),
    (12, &KEY_VALUE),
]);
static NUMBERS: Message = Message::of::<metrics::Sum>(&[(1, &NUMBER_POINT)]);
static HISTOGRAM: Message = Message::of::<metrics::Histogram>(&[(1, &HISTOGRAM_POINT)]);
static EXPONENTIAL_HISTOGRAM: Message =
    Message::of::<metrics::ExponentialHistogram>(&[(1, &EXPONENTIAL_POINT)]);
static SUMMARY: Message = Message::of::<metrics::Summary>(&[(1, &SUMMARY_POINT)]);
static NUMBER_POINT: Message = Message::of::<metrics::NumberDataPoint>(&[(5, &EXEMPLAR), (7, &KEY_VALUE)]);
static HISTOGRAM_POINT: Message =
    Message::of::<metrics::HistogramDataPoint>(&[(8, &EXEMPLAR), (9, &KEY_VALUE)]).with_repeated::<u64>();
static EXPONENTIAL_POINT: Message = Message::of::<metrics::ExponentialHistogramDataPoint>(&[
    (1, &KEY_VALUE),
    (8, &BUCKETS),
    (9, &BUCKETS),
    (11, &EXEMPLAR),
]);
static BUCKETS: Message =
    Message::of::<metrics::exponential_histogram_data_point::Buckets>(&[]).with_repeated::<u64>();
static SUMMARY_POINT: Message = Message::of::<metrics::SummaryDataPoint>(&[(6, &QUANTILE), (7, &KEY_VALUE)]);
static QUANTILE: Message = Message::of::<metrics::summary_data_point::ValueAtQuantile>(&[]);
static EXEMPLAR: Message = Message::of::<metrics::Exemplar>(&[(7, &KEY_VALUE)]);

static RESOURCE: Message = Message::of::<Resource>(&[(1, &KEY_VALUE), (3, &ENTITY_REF)]);
static SCOPE: Message = Message::of::<InstrumentationScope>(&[(3, &KEY_VALUE)]);
static ENTITY_REF: Message = Message::of::<EntityRef>(&[]).with_repeated::<String>();
static KEY_VALUE: Message = Message::attribute::<KeyValue>(&[(2, &ANY_VALUE)]);
static ANY_VALUE: Message = Message::attribute::<AnyValue>(&[(5, &ARRAY), (6, &MAP)]);
static ARRAY: Message = Message::attribute::<ArrayValue>(&[(1, &ANY_VALUE)]);
static MAP: Message = Message::attribute::<KeyValueList>(&[(1, &KEY_VALUE)]);

/// Fails if the protobuf takes more than `limit` bytes of memory as a `message`.
pub(crate) fn check_protobuf(bytes: &[u8], message: &Message, limit: usize) -> Result<(), Oversize> {
    if bytes.len().saturating_mul(MAX_PER_BYTE) <= limit {
        return Ok(());
    }
    scan(bytes, message, 0, &mut Budget(limit))
}

/// Fails if the JSON takes more than `limit` bytes of memory: each object may be a span, each comma may
/// separate two strings of a list.
pub(crate) fn check_json(bytes: &[u8], limit: usize) -> Result<(), Oversize> {
    if bytes.len().saturating_mul(MAX_PER_BYTE) <= limit {
        return Ok(());
    }
    let mut budget = Budget(limit);
    budget.take(bytes.len())?;
    let mut bytes = bytes.iter();
    let mut is_in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_in_string = !is_in_string,
            b'\\' => _ = bytes.next(),
            b'{' if !is_in_string => budget.take(PER_OBJECT)?,
            b',' if !is_in_string => budget.take(PER_ATTRIBUTE * size_of::<String>())?,
            _ => {}
        }
    }
    Ok(())
}

/// The bytes that are left.
struct Budget(usize);

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<(), Oversize> {
        self.0 = self.0.checked_sub(bytes).ok_or(Oversize::TooLarge)?;
        Ok(())
    }
}

fn scan(bytes: &[u8], message: &Message, depth: usize, budget: &mut Budget) -> Result<(), Oversize> {
    if depth > MAX_DEPTH {
        return Err(Oversize::Malformed(Malformed("messages are nested too deeply")));
    }
    for field in Fields(bytes) {
        let (number, field) = field.map_err(Oversize::Malformed)?;
        let content = if let Field::Bytes(content) = field {
            content
        } else {
            &[]
        };
        match message.messages.iter().find(|(of, _)| *of == number) {
            Some((_, nested)) => {
                budget.take(nested.size)?;
                scan(content, nested, depth + 1, budget)?;
            }
            None => budget.take(message.per_field + content.len().saturating_mul(message.per_byte))?,
        }
    }
    Ok(())
}
