//! The encoded spans or log records of one request. `ExportTraceServiceRequest` and
//! `ExportLogsServiceRequest` have the same fields around them.

use std::cell::RefCell;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::message::Message;

/// Bytes reserved for the records of a scope: about 40 spans.
const CAPACITY: usize = 16 << 10;

/// Encoded records by their scope.
#[derive(Debug, Default)]
pub(in crate::export) struct Batch {
    len: usize,
    /// Few: a record is compared with all of them.
    scopes: Vec<Scope>,
}

#[derive(Debug)]
struct Scope {
    name: String,
    library: InstrumentationScope,
    /// Each a field of `ScopeSpans` or `ScopeLogs`.
    records: Vec<u8>,
}

/// One encoded record.
#[derive(Debug)]
pub(in crate::export) struct Record<'a> {
    /// The name of its scope.
    scope: &'a str,
    /// Everything else of its scope.
    library: &'a InstrumentationScope,
    field: &'a [u8],
}

impl<'a> Record<'a> {
    /// Passes the record that `write` encodes to `use_it`. The buffer is the thread's, so a record takes no
    /// allocation.
    pub(super) fn encode<R>(
        scope: &'a str,
        library: &'a InstrumentationScope,
        write: impl FnOnce(&mut Message),
        use_it: impl FnOnce(Record<'_>) -> R,
    ) -> R {
        thread_local! {
            static BUFFER: RefCell<Message> = const { RefCell::new(Message::new()) };
        }
        BUFFER.with_borrow_mut(|message| {
            message.clear();
            message.nested(2, write);
            use_it(Record {
                scope,
                library,
                field: message.as_bytes(),
            })
        })
    }
}

impl Batch {
    pub(in crate::export) fn len(&self) -> usize {
        self.len
    }

    pub(in crate::export) fn push(&mut self, record: &Record<'_>) {
        let of_record = |scope: &&mut Scope| scope.name == record.scope && scope.library == *record.library;
        match self.scopes.iter_mut().find(of_record) {
            Some(scope) => scope.records.extend_from_slice(record.field),
            None => {
                let mut records = Vec::with_capacity(CAPACITY);
                records.extend_from_slice(record.field);
                self.scopes.push(Scope {
                    name: record.scope.to_owned(),
                    library: record.library.clone(),
                    records,
                });
            }
        }
        self.len += 1;
    }

    /// The request.
    pub(in crate::export) fn into_request(self, resource: &Resource) -> Vec<u8> {
        let mut request = Message::new();
        request.nested(1, |message| {
            message.nested(1, |message| message.resource(resource));
            for scope in self.scopes {
                message.nested(2, |message| {
                    message.nested(1, |message| message.scope(&scope.name, &scope.library));
                    message.fields(&scope.records);
                    message.text(3, scope.library.schema_url().unwrap_or_default());
                });
            }
            message.text(3, resource.schema_url().unwrap_or_default());
        });
        request.into_bytes()
    }
}
