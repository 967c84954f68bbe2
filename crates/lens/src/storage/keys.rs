//! The traces by the values of their key attributes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::attributes::Value;
use crate::ids::TraceId;
use crate::trace::Span;

/// Longer values are not indexed: an id is short.
const MAX_VALUE_BYTES: usize = 256;

/// An index for each key attribute.
#[derive(Debug)]
pub(super) struct Keys(Vec<Index>);

#[derive(Debug)]
struct Index {
    key: String,
    traces: HashMap<Arc<str>, BTreeSet<TraceId>>,
}

/// The values of one trace, in order of arrival, each with the number of its index.
pub(super) type KeysOfTrace = Vec<(usize, Arc<str>)>;

impl Keys {
    pub(super) fn new(keys: &[String]) -> Self {
        let index = |key: &String| Index {
            key: key.clone(),
            traces: HashMap::new(),
        };
        Self(keys.iter().map(index).collect())
    }

    /// Returns an estimate of the bytes that the indexes grew by.
    pub(super) fn add(&mut self, span: &Span, of_trace: &mut KeysOfTrace) -> usize {
        let mut bytes = 0;
        for (key, value) in span.attributes.iter() {
            let Some(number) = self.0.iter().position(|index| index.key == key) else {
                continue;
            };
            let Some(value) = text(value).filter(|value| value.len() <= MAX_VALUE_BYTES) else {
                continue;
            };
            // Most spans of a trace have the same value.
            if of_trace
                .last()
                .is_some_and(|(last, known)| *last == number && **known == *value)
            {
                continue;
            }
            if let Some(index) = self.0.get_mut(number)
                && let Some(value) = index.add(&value, span.trace_id)
            {
                bytes += 4 * size_of::<TraceId>() + size_of::<(usize, Arc<str>)>() + 2 * value.len() + 128;
                of_trace.push((number, value));
            }
        }
        bytes
    }

    pub(super) fn remove(&mut self, trace: TraceId, of_trace: &KeysOfTrace) {
        for (number, value) in of_trace {
            let Some(index) = self.0.get_mut(*number) else {
                continue;
            };
            if let Some(ids) = index.traces.get_mut(value) {
                ids.remove(&trace);
                if ids.is_empty() {
                    index.traces.remove(value);
                }
            }
        }
    }

    /// The traces with this value, if the attribute has an index and the value is one that it holds.
    pub(super) fn find(&self, key: &str, value: &str) -> Option<&BTreeSet<TraceId>> {
        self.0.iter().find(|index| index.key == key)?.traces.get(value)
    }

    /// The first value of each key.
    pub(super) fn first(&self, of_trace: &KeysOfTrace) -> BTreeMap<String, String> {
        let value_of = |number| of_trace.iter().find(|(of, _)| *of == number);
        let first = |(number, index): (usize, &Index)| {
            value_of(number).map(|(_, value)| (index.key.clone(), value.to_string()))
        };
        self.0.iter().enumerate().filter_map(first).collect()
    }
}

impl Index {
    /// The value as the index holds it, if the trace was not yet in it.
    fn add(&mut self, value: &str, trace: TraceId) -> Option<Arc<str>> {
        if let Some((value, _)) = self.traces.get_key_value(value) {
            let value = Arc::clone(value);
            return self.traces.get_mut(&value)?.insert(trace).then_some(value);
        }
        let value: Arc<str> = value.into();
        self.traces.insert(Arc::clone(&value), BTreeSet::from([trace]));
        Some(value)
    }
}

/// `None` for a value that identifies nothing.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}
