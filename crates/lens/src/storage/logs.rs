//! The most recent log records, by time. Beyond the limit, those that arrived first are evicted.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::log::LogRecord;
use crate::query::Work;
use crate::search::Cursor;

/// Estimated bytes of a record besides itself: its entries in the two orders.
const RECORD_OVERHEAD: usize = 96;
/// Steps of a search for each record besides those of its tests.
const STEPS_PER_RECORD: usize = 20;

#[derive(Debug)]
pub(super) struct Logs {
    max_bytes: usize,
    bytes: usize,
    arrivals: u128,
    by_time: BTreeMap<Cursor, Stored>,
    by_arrival: VecDeque<Cursor>,
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
            arrivals: 0,
            by_time: BTreeMap::new(),
            by_arrival: VecDeque::new(),
        }
    }

    pub(super) fn add(&mut self, records: Vec<LogRecord>) {
        for record in records {
            let mut bytes = RECORD_OVERHEAD + record.bytes();
            if !self.shares_origin_of_last(&record) {
                bytes += record.resource.heap_bytes() + record.scope.heap_bytes() + record.service.len();
            }
            self.arrivals += 1;
            let place = Cursor {
                unix_nano: record.time_unix_nano,
                tie: self.arrivals,
            };
            self.bytes += bytes;
            self.by_arrival.push_back(place);
            self.by_time.insert(place, Stored { record, bytes });
        }
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.by_arrival.pop_front()
            && let Some(stored) = self.by_time.remove(&oldest)
        {
            self.bytes -= stored.bytes;
        }
    }

    /// In order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LogRecord> {
        let stored = self.by_arrival.iter().filter_map(|place| self.by_time.get(place));
        stored.map(|stored| &stored.record)
    }

    /// Up to `limit` records that arrived after that of the number `last`, and the number of the last of
    /// them.
    pub(super) fn after(&self, last: u128, limit: usize) -> Option<(u128, Vec<LogRecord>)> {
        let start = self.by_arrival.partition_point(|place| place.tie <= last);
        let end = self.by_arrival.len().min(start.saturating_add(limit));
        let places = || self.by_arrival.range(start..end);
        let records = places().filter_map(|place| self.by_time.get(place));
        let number = places().next_back()?.tie;
        Some((number, records.map(|stored| stored.record.clone()).collect()))
    }

    /// By time.
    pub(super) fn by_time(&self) -> impl Iterator<Item = &LogRecord> {
        self.by_time.values().map(|stored| &stored.record)
    }

    /// Visits the records before `position`, newest first, until `visit` breaks or `slice` steps are spent.
    /// Returns whether records from `from_unix_nano` on are left.
    pub(super) fn walk(
        &self,
        position: &mut Cursor,
        from_unix_nano: u64,
        slice: u64,
        work: &mut Work,
        mut visit: impl FnMut(Cursor, &LogRecord, &mut Work) -> ControlFlow<()>,
    ) -> ControlFlow<(), bool> {
        let until = work.left().saturating_sub(slice);
        for (place, stored) in self.by_time.range(..*position).rev() {
            if place.unix_nano < from_unix_nano {
                break;
            }
            *position = *place;
            work.spend(STEPS_PER_RECORD);
            visit(*place, &stored.record, work)?;
            if work.left() <= until {
                return ControlFlow::Continue(true);
            }
        }
        ControlFlow::Continue(false)
    }

    /// Whether the previous record shares its resource and scope, which are then already counted.
    fn shares_origin_of_last(&self, record: &LogRecord) -> bool {
        let last = self.by_arrival.back().and_then(|place| self.by_time.get(place));
        last.is_some_and(|last| {
            Arc::ptr_eq(&last.record.resource, &record.resource)
                && Arc::ptr_eq(&last.record.scope, &record.scope)
        })
    }
}
