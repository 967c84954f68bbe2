//! `propagator`.

use serde::Deserialize;

use super::values::Empty;
use crate::setup::propagators::{self, Propagator};

/// None unless both keys name some.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Composite {
    #[serde(default)]
    composite: Vec<Format>,
    composite_list: Option<FormatList>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    TraceContext(Empty),
    Baggage(Empty),
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct FormatList(Vec<Propagator>);

impl TryFrom<String> for FormatList {
    type Error = String;

    fn try_from(list: String) -> Result<Self, String> {
        let listed = propagators::parse_list(&list);
        let refusal = || format!("got `{list}`; takes {}", propagators::TAKES);
        listed.map(Self).ok_or_else(refusal)
    }
}

impl Composite {
    pub(super) fn propagators(self) -> Vec<Propagator> {
        let listed = self.composite_list.map_or_else(Vec::new, |list| list.0);
        let composite = self.composite.iter().map(|format| match format {
            Format::TraceContext(Empty {}) => Propagator::TraceContext,
            Format::Baggage(Empty {}) => Propagator::Baggage,
        });
        composite.chain(listed).collect()
    }
}
