//! `tracer_provider.sampler`.

use opentelemetry_sdk::trace::{self, ParentBasedSampler, ShouldSample};
use serde::Deserialize;

use super::values::{Empty, Ratio};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sampler {
    AlwaysOff(Empty),
    AlwaysOn(Empty),
    ParentBased(Box<ParentBased>),
    TraceIdRatioBased(TraceIdRatioBased),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParentBased {
    root: Option<Sampler>,
    remote_parent_sampled: Option<Sampler>,
    remote_parent_not_sampled: Option<Sampler>,
    local_parent_sampled: Option<Sampler>,
    #[serde(rename = "local_parent_not_sampled")]
    _local_parent_not_sampled: Option<OnlyOff>,
}

/// In a trace that is not sampled, only the first span of a process is made.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnlyOff {
    AlwaysOff(Empty),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceIdRatioBased {
    ratio: Option<Ratio>,
}

impl Sampler {
    pub(super) fn build(self) -> Box<dyn ShouldSample> {
        match self {
            Self::AlwaysOff(Empty {}) => Box::new(trace::Sampler::AlwaysOff),
            Self::AlwaysOn(Empty {}) => Box::new(trace::Sampler::AlwaysOn),
            Self::ParentBased(sampler) => Box::new(sampler.build()),
            Self::TraceIdRatioBased(sampler) => {
                let ratio = sampler.ratio.map_or(1.0, |ratio| ratio.0);
                Box::new(trace::Sampler::TraceIdRatioBased(ratio))
            }
        }
    }
}

impl ParentBased {
    fn build(self) -> ParentBasedSampler {
        let root = self.root.map_or_else(default_root, Sampler::build);
        let mut sampler = ParentBasedSampler::new(root);
        if let Some(other) = self.remote_parent_sampled {
            sampler = sampler.with_remote_parent_sampled(other.build());
        }
        if let Some(other) = self.remote_parent_not_sampled {
            sampler = sampler.with_remote_parent_not_sampled(other.build());
        }
        if let Some(other) = self.local_parent_sampled {
            sampler = sampler.with_local_parent_sampled(other.build());
        }
        sampler
    }
}

fn default_root() -> Box<dyn ShouldSample> {
    Box::new(trace::Sampler::AlwaysOn)
}

/// Without `sampler`.
pub(super) fn default() -> Box<dyn ShouldSample> {
    Box::new(trace::Sampler::ParentBased(default_root()))
}
