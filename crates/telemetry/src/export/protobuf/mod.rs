//! Spans and log records as OTLP requests, written as they stand. `opentelemetry-proto` makes a message of each first, with a copy of
//! every text, and writes that, which was most of what an export cost. What is written is the same; tests compare it.
//!
//! The numbers are those of the fields in OTLP's definition.

mod logs;
mod spans;

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::Resource;

pub(super) use logs::logs_request;
pub(super) use spans::trace_request;

/// A protobuf message that is being written.
#[derive(Debug)]
struct Message(Vec<u8>);

/// A request with what `write` writes of each scope. `room` is how many bytes it will take, by a guess.
fn request<S>(room: usize, resource: &Resource, scopes: Vec<S>, write: impl Fn(&mut Message, S)) -> Vec<u8> {
    let mut request = Message(Vec::with_capacity(room));
    request.large(1, |message| {
        message.nested(1, |message| message.resource(resource));
        for scope in scopes {
            message.large(2, |message| write(message, scope));
        }
        message.text(3, resource.schema_url().unwrap_or_default());
    });
    request.0
}

// === impl Message: what spans and log records share ===

impl Message {
    fn resource(&mut self, resource: &Resource) {
        for (key, value) in resource {
            self.attribute(1, key, value);
        }
    }

    /// A scope, by this name.
    fn scope(&mut self, name: &str, scope: &InstrumentationScope) {
        self.text(1, name);
        self.text(2, scope.version().unwrap_or_default());
        for attribute in scope.attributes() {
            self.attribute(3, &attribute.key, &attribute.value);
        }
    }

    fn attributes(&mut self, field: u8, attributes: &[KeyValue]) {
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

    /// An `AnyValue`: which of its fields is there says what it is, so it is there even where it is 0.
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

    fn bool(&mut self, value: bool) {
        self.key(2, Wire::Varint);
        self.varint(u64::from(value));
    }

    fn int(&mut self, value: i64) {
        self.key(3, Wire::Varint);
        self.varint(value.cast_unsigned());
    }

    fn double(&mut self, value: f64) {
        self.key(4, Wire::Fixed64);
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

/// Since 1970.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Each once, in the order in which they come. There are few.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
}

// === impl Message: what all messages consist of, <https://protobuf.dev/programming-guides/encoding/> ===

/// How a field is written.
#[derive(Debug, Clone, Copy)]
enum Wire {
    Varint,
    Fixed64,
    Delimited,
    Fixed32,
}

impl Message {
    /// A message within this one.
    fn nested(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.key(field, Wire::Delimited);
        let place = self.0.len();
        self.0.push(0);
        let start = self.0.len();
        write(self);
        let length = self.0.len() - start;
        match (self.0.get_mut(place), u8::try_from(length)) {
            (Some(place), Ok(length @ ..0x80)) => *place = length,
            // It has become longer than one byte can say, and moves on.
            _ => {
                let mut written = Self(Vec::new());
                written.length(length);
                self.0.splice(place..start, written.0);
            }
        }
    }

    /// A message within this one that would take too long to move on: its length takes four bytes, whatever it is.
    fn large(&mut self, field: u8, write: impl FnOnce(&mut Self)) {
        self.key(field, Wire::Delimited);
        let place = self.0.len();
        self.0.extend([0; 4]);
        let start = self.0.len();
        write(self);
        let length = self.0.len() - start;
        let seven_bits = |shift: usize| u8::try_from(length >> shift & 0x7f).unwrap_or_default();
        let bytes = [
            seven_bits(0) | 0x80,
            seven_bits(7) | 0x80,
            seven_bits(14) | 0x80,
            seven_bits(21),
        ];
        if let Some(place) = self.0.get_mut(place..start) {
            place.copy_from_slice(&bytes);
        }
    }

    fn key(&mut self, field: u8, wire: Wire) {
        let wire = match wire {
            Wire::Varint => 0,
            Wire::Fixed64 => 1,
            Wire::Delimited => 2,
            Wire::Fixed32 => 5,
        };
        self.varint(u64::from(field) << 3 | wire);
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

    /// Left out where it is 0.
    fn number(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.key(field, Wire::Varint);
            self.varint(value);
        }
    }

    /// Left out where it is 0.
    fn fixed64(&mut self, field: u8, value: u64) {
        if value != 0 {
            self.key(field, Wire::Fixed64);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Left out where it is 0.
    fn fixed32(&mut self, field: u8, value: u32) {
        if value != 0 {
            self.key(field, Wire::Fixed32);
            self.0.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Left out where it is empty.
    fn text(&mut self, field: u8, text: &str) {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.key(field, Wire::Delimited);
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }
}
