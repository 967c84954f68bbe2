//! A series as it was stored, for a chart.

use crate::attributes::Attributes;
use crate::metric::Temporality;
use crate::samples::Sample;
use crate::service_name::ServiceName;

/// The samples of one set of attributes of a process.
#[derive(Debug)]
pub(crate) struct StoredSeries {
    pub(crate) service: ServiceName,
    pub(crate) instance: String,
    pub(crate) temporality: Temporality,
    pub(crate) attributes: Attributes,
    /// In order of arrival.
    pub(crate) samples: Vec<Sample>,
}
