//! `propagator`.

use super::node::Malformation;
use super::place::{Place, each, keys, optional};
use crate::setup::propagators::{self, Propagator};

const FORMATS: [(&str, Propagator); 2] = [
    ("tracecontext", Propagator::TraceContext),
    ("baggage", Propagator::Baggage),
];

/// None unless both keys name some.
pub(super) fn read(place: Option<&Place<'_>>) -> Result<Vec<Propagator>, Malformation> {
    let [composite, list] = keys(place, ["composite", "composite_list"])?;
    let mut propagators = each(composite.as_ref(), |place| {
        let (propagator, settings) = place.choice(&FORMATS)?;
        settings.keys([])?;
        Ok(propagator)
    })?;
    let listed = optional(list.as_ref(), |place| {
        place.parsed(propagators::TAKES, propagators::parse_list)
    })?;
    propagators.extend(listed.into_iter().flatten());
    Ok(propagators)
}
