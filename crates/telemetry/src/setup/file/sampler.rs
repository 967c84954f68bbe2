//! `tracer_provider.sampler`.

use opentelemetry_sdk::trace::{ParentBasedSampler, Sampler, ShouldSample};

use super::node::Malformation;
use super::place::{Place, optional};

type Read = fn(&Place<'_>) -> Result<Box<dyn ShouldSample>, Malformation>;

const SAMPLERS: [(&str, Read); 4] = [
    ("always_off", |place| without_settings(place, Sampler::AlwaysOff)),
    ("always_on", |place| without_settings(place, Sampler::AlwaysOn)),
    ("parent_based", parent_based),
    ("trace_id_ratio_based", trace_id_ratio_based),
];

pub(super) fn read(place: &Place<'_>) -> Result<Box<dyn ShouldSample>, Malformation> {
    let (read, settings) = place.choice(&SAMPLERS)?;
    read(&settings)
}

fn without_settings(place: &Place<'_>, sampler: Sampler) -> Result<Box<dyn ShouldSample>, Malformation> {
    place.keys([])?;
    Ok(Box::new(sampler))
}

fn trace_id_ratio_based(place: &Place<'_>) -> Result<Box<dyn ShouldSample>, Malformation> {
    let [ratio] = place.keys(["ratio"])?;
    let ratio = optional(ratio.as_ref(), |place| {
        let ratio = place.number()?;
        if (0.0..=1.0).contains(&ratio) {
            Ok(ratio)
        } else {
            Err(place.refuse(format!("got `{ratio}`; takes a number from 0 to 1")))
        }
    })?;
    Ok(Box::new(Sampler::TraceIdRatioBased(ratio.unwrap_or(1.0))))
}

fn parent_based(place: &Place<'_>) -> Result<Box<dyn ShouldSample>, Malformation> {
    let [root, remote_on, remote_off, local_on, local_off] = place.keys([
        "root",
        "remote_parent_sampled",
        "remote_parent_not_sampled",
        "local_parent_sampled",
        "local_parent_not_sampled",
    ])?;
    let mut sampler = ParentBasedSampler::new(optional(root.as_ref(), read)?.unwrap_or_else(default_root));
    if let Some(other) = optional(remote_on.as_ref(), read)? {
        sampler = sampler.with_remote_parent_sampled(other);
    }
    if let Some(other) = optional(remote_off.as_ref(), read)? {
        sampler = sampler.with_remote_parent_not_sampled(other);
    }
    if let Some(other) = optional(local_on.as_ref(), read)? {
        sampler = sampler.with_local_parent_sampled(other);
    }
    // In a trace that is not sampled, only the first span of a process is made.
    optional(local_off.as_ref(), |place| {
        let ((), settings) = place.choice(&[("always_off", ())])?;
        settings.keys([])
    })?;
    Ok(Box::new(sampler))
}

fn default_root() -> Box<dyn ShouldSample> {
    Box::new(Sampler::AlwaysOn)
}

/// Without `sampler`.
pub(super) fn default() -> Box<dyn ShouldSample> {
    Box::new(Sampler::ParentBased(default_root()))
}
