//! The most recent log records, in order of arrival. Beyond the limit, the oldest are evicted.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::TraceId;
use crate::log::LogRecord;
use crate::trace::ORDER_ID;

#[derive(Debug)]
pub(super) struct Logs {
    max_bytes: usize,
    bytes: usize,
    records: VecDeque<Stored>,
}

#[derive(Debug)]
struct Stored {
    record: LogRecord,
    bytes: usize,
}

impl Logs {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            records: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, records: Vec<LogRecord>) {
        for record in records {
            let mut bytes = record.bytes();
            if !self.shares_origin_of_last(&record) {
                bytes += record.resource.heap_bytes() + record.scope.heap_bytes();
            }
            self.bytes += bytes;
            self.records.push_back(Stored { record, bytes });
        }
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LogRecord> {
        self.records.iter().map(|stored| &stored.record)
    }

    /// The traces of the records with this `order.id`. A linear search: only people search.
    pub(super) fn traces_of_order(&self, order_id: &str) -> impl Iterator<Item = TraceId> {
        let of_order = move |log: &&LogRecord| log.attributes.get_str(ORDER_ID) == Some(order_id);
        self.iter().filter(of_order).filter_map(|log| log.trace_id)
    }

    /// Whether the previous record shares its resource and scope, which are then already counted.
    fn shares_origin_of_last(&self, record: &LogRecord) -> bool {
        self.records.back().is_some_and(|last| {
            Arc::ptr_eq(&last.record.resource, &record.resource)
                && Arc::ptr_eq(&last.record.scope, &record.scope)
        })
    }
}
