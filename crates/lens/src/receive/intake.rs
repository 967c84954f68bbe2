//! What both transports do with an export: they check how much memory it takes, decode it and store it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::export::{Accepted, Export};
use super::rejection::Rejection;
use crate::otlp::{Oversize, check_json, check_protobuf};
use crate::storage::TelemetryStore;

/// How many exports are read at the same time; others wait.
const PLACES: usize = 2;
/// The SDKs' batches are far smaller.
const MAX_EXPORT_BYTES: usize = 16 * 1024 * 1024;
const MIN_EXPORT_BYTES: usize = 64 * 1024;

/// Takes exports, within a half of LENS_MAX_BYTES: a quarter for those that are read, compressed and not, and
/// a quarter for the one that is decoded. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    store: TelemetryStore,
    max_export_bytes: usize,
    max_decoded_bytes: usize,
    places: Arc<Semaphore>,
    decoding: Arc<Mutex<()>>,
}

/// The encoding of a request and of its response.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

impl Intake {
    pub(crate) fn new(store: TelemetryStore, max_bytes: usize) -> Self {
        Self {
            store,
            max_export_bytes: (max_bytes / 16).clamp(MIN_EXPORT_BYTES, MAX_EXPORT_BYTES),
            max_decoded_bytes: max_bytes / 4,
            places: Arc::new(Semaphore::new(PLACES)),
            decoding: Arc::default(),
        }
    }

    /// The limit of one export, compressed and not.
    pub(crate) fn max_export_bytes(&self) -> usize {
        self.max_export_bytes
    }

    /// Waits for a place, which is held while an export is read.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.places.acquire().await.ok()
    }

    /// Decodes and stores one export at a time.
    pub(crate) fn accept<E: Export>(
        &self,
        format: Format,
        body: &[u8],
    ) -> Result<Accepted<E::Response>, Rejection> {
        let _decoding = self.decoding.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = match format {
            Format::Protobuf => check_protobuf(body, E::SIZE, self.max_decoded_bytes),
            Format::Json => check_json(body, self.max_decoded_bytes),
        };
        checked.map_err(|oversize| match oversize {
            Oversize::TooLarge => Rejection::TooManyItems(self.max_decoded_bytes),
            Oversize::Malformed(malformed) => malformed.into(),
        })?;
        match format {
            Format::Protobuf => E::store(body, &self.store),
            Format::Json => E::store(&protobuf::<E>(body)?, &self.store),
        }
    }
}

/// The same export as protobuf.
fn protobuf<E: Export>(json: &[u8]) -> Result<Vec<u8>, Rejection> {
    let export: E = serde_json::from_slice(json)?;
    Ok(export.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;

    use super::*;

    /// `count` times the field `tag` with `content`, in the fields `path` from the outside in.
    fn repeated(path: &[u8], tag: u8, content: &[u8], count: usize) -> Vec<u8> {
        let item = [&[tag << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat();
        path.iter().rev().fold(item.repeat(count), |inner, field| {
            let mut outer = vec![field << 3 | 2];
            prost::encode_length_delimiter(inner.len(), &mut outer).unwrap();
            outer.extend(inner);
            outer
        })
    }

    /// The most items that are accepted take no more memory than their share of the limit.
    fn assert_bounded<E: Export>(item: impl Fn(usize) -> Vec<u8>) {
        let max_bytes = 16 * 1024 * 1024;
        let (mut most, mut refused) = (0, 4_000_000);
        while refused - most > 1_000 {
            let count = usize::midpoint(most, refused);
            let intake = Intake::new(TelemetryStore::new(max_bytes, &[]), max_bytes);
            match intake.accept::<E>(Format::Protobuf, &item(count)) {
                Ok(_) => most = count,
                Err(Rejection::TooManyItems(_)) => refused = count,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(most > 0 && refused < 4_000_000, "{most}..{refused}");
        let body = item(most);
        let intake = Intake::new(TelemetryStore::new(max_bytes, &[]), max_bytes);
        let memory = allocation_counter::measure(|| {
            intake.accept::<E>(Format::Protobuf, &body).map(drop).unwrap();
        });
        let peak = usize::try_from(memory.bytes_max).unwrap();
        assert!(peak <= max_bytes / 4, "{most} items take {peak} bytes");
    }

    #[test]
    fn the_memory_of_an_export_is_never_more_than_the_scan_says() {
        let span = [&[1 << 3 | 2, 16][..], &[7; 16], &[2 << 3 | 2, 8], &[7; 8]].concat();
        assert_bounded::<Traces>(|count| repeated(&[1, 2], 2, &[], count));
        assert_bounded::<Traces>(|count| repeated(&[1, 2], 2, &span, count));
        assert_bounded::<Traces>(|count| repeated(&[1, 2, 2], 9, &[], count));
        assert_bounded::<Traces>(|count| repeated(&[1, 2, 2], 11, &[], count));
        assert_bounded::<Traces>(|count| repeated(&[1, 1, 3], 3, &[], count));
        assert_bounded::<Traces>(|count| repeated(&[], 1, &[], count));
        assert_bounded::<Logs>(|count| repeated(&[1, 2], 2, &[], count));
        assert_bounded::<Logs>(|count| repeated(&[1, 2, 2, 5, 5], 1, &[], count));
        assert_bounded::<Metrics>(|count| repeated(&[1, 2, 2, 5], 1, &[], count));
        assert_bounded::<Metrics>(|count| repeated(&[1, 2, 2, 10, 1, 8], 2, &[1, 1, 1, 1], count));
    }
}
