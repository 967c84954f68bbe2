//! `exporter` of processors and readers. The crate's features decide which exist.

use opentelemetry_sdk::metrics::Temporality;

use super::node::Malformation;
#[cfg(feature = "__otlp")]
use super::otlp;
use super::place::Place;
use super::purpose::Purpose;
use crate::setup::exporter::Exporter;

/// The temporality is for metrics.
type Read = fn(&Place<'_>, Purpose<'_>) -> Result<(Exporter, Temporality), Malformation>;

const EXPORTERS: &[(&str, Read)] = &[
    #[cfg(feature = "http-proto")]
    ("otlp_http", otlp::http),
    #[cfg(feature = "grpc")]
    ("otlp_grpc", otlp::grpc),
    #[cfg(feature = "console")]
    ("console", console),
];
/// Those of a simple processor, which has no queue in front of a network.
const SIMPLE_EXPORTERS: &[(&str, Read)] = &[
    #[cfg(feature = "console")]
    ("console", console),
];

pub(super) fn read(place: &Place<'_>, purpose: Purpose<'_>) -> Result<(Exporter, Temporality), Malformation> {
    let (read, settings) = place.choice(EXPORTERS)?;
    read(&settings, purpose)
}

pub(super) fn read_simple(place: &Place<'_>, purpose: Purpose<'_>) -> Result<Exporter, Malformation> {
    let (read, settings) = place.choice(SIMPLE_EXPORTERS)?;
    Ok(read(&settings, purpose)?.0)
}

#[cfg(feature = "console")]
fn console(place: &Place<'_>, _: Purpose<'_>) -> Result<(Exporter, Temporality), Malformation> {
    place.keys([])?;
    Ok((Exporter::Console, Temporality::Cumulative))
}
