//! What the three signals share: processes, libraries, attributes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::attributes::{Attributes, Value};
use crate::trace::Scope;

/// The items by process and library, in order of appearance. `of_library` makes the message of one library.
pub(super) fn grouped<'a, T, S>(
    items: &'a [T],
    origin: impl Fn(&T) -> (&Arc<Attributes>, &Arc<Scope>),
    of_library: impl Fn(Option<InstrumentationScope>, Vec<&'a T>) -> S,
) -> impl Iterator<Item = (Option<Resource>, Vec<S>)> {
    let (mut resources, mut scopes) = (Numbers::default(), Numbers::default());
    let mut groups: BTreeMap<(usize, usize), Vec<&T>> = BTreeMap::new();
    for item in items {
        let (resource, scope) = origin(item);
        let place = (resources.of(resource), scopes.of(scope));
        groups.entry(place).or_default().push(item);
    }
    let mut processes: BTreeMap<usize, (Resource, Vec<S>)> = BTreeMap::new();
    for ((process, _), items) in groups {
        let Some(first) = items.first() else { continue };
        let (resource, scope) = origin(first);
        let (_, libraries) = processes.entry(process).or_insert_with(|| {
            let resource = Resource {
                attributes: pairs(resource),
                ..Default::default()
            };
            (resource, Vec::new())
        });
        let scope = InstrumentationScope {
            name: scope.name.clone(),
            version: scope.version.clone(),
            ..Default::default()
        };
        libraries.push(of_library(Some(scope), items));
    }
    let processes = processes.into_values();
    processes.map(|(resource, libraries)| (Some(resource), libraries))
}

/// Numbers equal values alike, in order of appearance. Most of those that are equal are also the same.
struct Numbers<T> {
    by_address: HashMap<*const T, usize>,
    by_content: HashMap<String, usize>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            by_address: HashMap::new(),
            by_content: HashMap::new(),
        }
    }
}

impl<T: fmt::Debug> Numbers<T> {
    fn of(&mut self, value: &Arc<T>) -> usize {
        *self.by_address.entry(Arc::as_ptr(value)).or_insert_with(|| {
            let next = self.by_content.len();
            *self.by_content.entry(format!("{value:?}")).or_insert(next)
        })
    }
}

pub(super) fn pairs(attributes: &Attributes) -> Vec<KeyValue> {
    let pair = |(key, v): (&str, &Value)| KeyValue {
        key: key.to_owned(),
        value: Some(value(v)),
        ..Default::default()
    };
    attributes.iter().map(pair).collect()
}

pub(super) fn value(value: &Value) -> AnyValue {
    let value = match value {
        Value::Empty => None,
        Value::String(text) => Some(any_value::Value::StringValue(text.to_string())),
        Value::Bool(truth) => Some(any_value::Value::BoolValue(*truth)),
        Value::Int(number) => Some(any_value::Value::IntValue(*number)),
        Value::Double(number) => Some(any_value::Value::DoubleValue(*number)),
        Value::Bytes(bytes) => Some(any_value::Value::BytesValue(bytes.clone())),
        Value::Array(values) => Some(any_value::Value::ArrayValue(ArrayValue {
            values: values.iter().map(self::value).collect(),
        })),
        Value::Map(attributes) => Some(any_value::Value::KvlistValue(KeyValueList {
            values: pairs(attributes),
        })),
    };
    AnyValue { value }
}
