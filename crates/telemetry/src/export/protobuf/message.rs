//! The protobuf encoding, and the messages that spans and log records share. Numbers are field numbers.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::Resource;

/// The fields of a protobuf message under construction.
#[derive(Debug, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn resource(&mut self, resource: &Resource) {
        for (key, value) in resource {
            self.attribute(1, key, value);
        }
    }

    /// A scope under this name.
    pub(super) fn scope(&mut self, name: &str, scope: &InstrumentationScope) {
        self.text(1, name);
        self.text(2, scope.version().unwrap_or_default());
        for attribute in scope.attributes() {
            self.attribute(3, &attribute.key, &attribute.value);
        }
    }

    pub(super) fn attributes(&mut self, field: u8, attributes: &[KeyValue]) {
        for attribute in attributes {
            self.attribute(field, &attribute.key, &attribute.value);
        }
    }

    fn attribute(&mut self, field: u8, key: &Key, value: &Value) {
        self.nested(field, |message| {
            message.text(1, key.as_str());
            message.nested(2, |message| message.value(value));
        });
    }

    /// An `AnyValue`. The field that is present tells the type, so even 0 and an empty text are written.
    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.bytes(1, text.as_str().as_bytes()),
            Value::Bool(value) => self.bool(*value),
            Value::I64(value) => self.int(*value),
            Value::F64(value) => self.double(*value),
            Value::Array(Array::Bool(values)) => self.array(values),
            Value::Array(Array::I64(values)) => self.array(values),
            Value::Array(Array::F64(values)) => self.array(values),
            Value::Array(Array::String(values)) => self.array(values),
            // OpenTelemetry has no other values.
            _ => {}
        }
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.key(2, VARINT);
        self.varint(u64::from(value));
    }

    pub(super) fn int(&mut self, value: i64) {
        self.key(3, VARINT);
        self.varint(value.cast_unsigned());
    }

    pub(super) fn double(&mut self, value: f64) {
        self.key(4, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn array<T: Clone + Into<Value>>(&mut self, values: &[T]) {
        self.nested(5, |array| {
            for value in values {
                array.nested(1, |message| message.value(&value.clone().into()));
            }
        });
    }
}

/// The length of a nested message of `length` with its key and its length. Its field number is below 16.
pub(super) fn delimited_len(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

/// Nanoseconds since 1970, 0 for an earlier time.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Wire types: <https://protobuf.dev/programming-guides/encoding/>
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    /// A message within this one.
    pub(super) fn nested(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.key(field, DELIMITED);
        let place = self.0.len();
        self.0.push(0);
        let start = self.0.len();
        write(self);
        let length = self.0.len() - start;
        match (self.0.get_mut(place), u8::try_from(length)) {
            (Some(place), Ok(length @ ..0x80)) => *place = length,
            // The length takes more than the one byte reserved for it, so the message moves. The length is
            // written behind it, its last byte put into the reserved place, and the others before that.
            _ => {
                let end = self.0.len();
                self.length(length);
                let (last, others) = (self.0.pop(), self.0.len() - end);
                if let (Some(last), Some([reserved, ..])) = (last, self.0.get_mut(place..)) {
                    *reserved = last;
                }
                if let Some(moved) = self.0.get_mut(place..) {
                    moved.rotate_right(others);
                }
            }
        }
    }

    /// A message within this one whose fields follow, and whose length is known.
    pub(super) fn open(&mut self, field: u8, length: usize) {
        self.key(field, DELIMITED);
        self.length(length);
    }

    fn key(&mut self, field: u8, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn length(&mut self, length: usize) {
        self.varint(u64::try_from(length).unwrap_or(u64::MAX));
    }

    /// Omitted if 0.
    pub(super) fn number(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
    }

    /// Omitted if 0.
    pub(super) fn fixed64(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.key(field, FIXED64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Omitted if 0.
    pub(super) fn fixed32(&mut self, field: u8, value: u32) {
        if value != 0 {
            self.key(field, FIXED32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Omitted if empty.
    pub(super) fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    pub(super) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.open(field, bytes.len());
        self.0.extend_from_slice(bytes);
    }
}
