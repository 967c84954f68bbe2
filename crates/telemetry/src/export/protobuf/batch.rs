//! The encoded spans or log records of one request. `ExportTraceServiceRequest` and
//! `ExportLogsServiceRequest` have the same fields around them.

use std::cell::RefCell;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::Resource;

use super::message::{Message, delimited_len};

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
            static BUFFER: RefCell<Message> = const { RefCell::new(Message(Vec::new())) };
        }
        BUFFER.with_borrow_mut(|message| {
            message.0.clear();
            message.nested(2, write);
            use_it(Record {
                scope,
                library,
                field: &message.0,
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

    /// An empty batch with room for as many records again, so that they are not moved while it grows.
    pub(in crate::export) fn successor(&self) -> Self {
        let scopes = self.scopes.iter().map(|scope| Scope {
            name: scope.name.clone(),
            library: scope.library.clone(),
            records: Vec::with_capacity(scope.records.len() * 5 / 4),
        });
        Self {
            len: 0,
            scopes: scopes.collect(),
        }
    }

    /// The request. Its lengths are known before it is written, so that nothing is moved.
    pub(in crate::export) fn into_request(self, resource: &Resource) -> Vec<u8> {
        let mut head = Message::default();
        head.nested(1, |message| message.resource(resource));
        head.text(3, resource.schema_url().unwrap_or_default());
        let scopes: Vec<_> = self.scopes.iter().filter_map(Scope::head).collect();
        let of_scope = |(head, records): &(Message, &[u8])| head.0.len() + records.len();
        let of_scopes = scopes.iter().map(|scope| delimited_len(of_scope(scope)));
        let length = head.0.len() + of_scopes.sum::<usize>();

        let mut request = Message(Vec::with_capacity(delimited_len(length)));
        request.open(1, length);
        request.0.extend_from_slice(&head.0);
        for scope in &scopes {
            request.open(2, of_scope(scope));
            let (head, records) = scope;
            request.0.extend_from_slice(&head.0);
            request.0.extend_from_slice(records);
        }
        request.0
    }
}

impl Scope {
    /// What comes before its records, and these; `None` without any.
    fn head(&self) -> Option<(Message, &[u8])> {
        if self.records.is_empty() {
            return None;
        }
        let mut head = Message::default();
        head.nested(1, |message| message.scope(&self.name, &self.library));
        head.text(3, self.library.schema_url().unwrap_or_default());
        Some((head, self.records.as_slice()))
    }
}
