//! The contract as a registry of OpenTelemetry Weaver, in the format of the semantic conventions. Attributes
//! of the conventions are references, and their metrics are imports; what is in no convention is defined.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attributes::{Attribute, OWN, OwnAttribute, Presence, Type, Values, own_of_spans};
use super::events::{self, EventRow};
use super::metrics::{self, Kind, MetricRow};
use super::resource;
use super::spans::{self, STEPS, SpanRow};

/// `manifest.yaml` of the registry. No public address exists, so its own is below `.invalid`.
pub const MANIFEST: &str = concat!(
    "schema_url: https://throughline.invalid/schemas/",
    env!("CARGO_PKG_VERSION"),
    "
description: The spans, metrics and events of Throughline.
stability: development
dependencies:
  - schema_url: https://opentelemetry.io/schemas/1.44.0
    registry_path: https://github.com/open-telemetry/semantic-conventions@v1.44.0[model]
"
);

const STABILITY: &str = "development";
/// The group that each span extends.
const OWN_OF_SPANS: &str = "attributes.throughline.spans";

/// One file of the registry.
#[derive(Debug, Serialize)]
pub struct Definitions {
    groups: Vec<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imports: Option<Imports>,
}

/// Signals of the conventions that are exported as they are.
#[derive(Debug, Serialize)]
struct Imports {
    metrics: Vec<&'static str>,
}

#[derive(Debug, Default, Serialize)]
struct Group {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instrument: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    brief: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stability: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extends: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<GroupAttribute>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum GroupAttribute {
    Definition {
        id: &'static str,
        #[serde(rename = "type")]
        kind: AttributeType,
        brief: &'static str,
        stability: &'static str,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        examples: &'static [&'static str],
    },
    Reference {
        #[serde(rename = "ref")]
        name: &'static str,
        requirement_level: RequirementLevel,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum AttributeType {
    Simple(&'static str),
    Words { members: Vec<Member> },
}

#[derive(Debug, Serialize)]
struct Member {
    id: &'static str,
    value: &'static str,
    stability: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum RequirementLevel {
    Required,
    ConditionallyRequired(&'static str),
    Recommended,
}

/// The files of the registry beside its manifest: name and content.
#[must_use]
pub fn registry() -> [(&'static str, Definitions); 5] {
    let spans = std::iter::once(own_attributes_of_spans()).chain(spans::ROWS.iter().map(span));
    [
        ("attributes.yaml", definitions(attributes())),
        ("resource.yaml", definitions([resource()])),
        ("spans.yaml", definitions(spans)),
        ("metrics.yaml", metrics()),
        ("events.yaml", definitions(events::ROWS.iter().map(event))),
    ]
}

fn definitions(groups: impl IntoIterator<Item = Group>) -> Definitions {
    Definitions {
        groups: groups.into_iter().collect(),
        imports: None,
    }
}

/// A group for each namespace.
fn attributes() -> impl Iterator<Item = Group> {
    let mut namespaces: BTreeMap<&str, Vec<GroupAttribute>> = BTreeMap::new();
    for own in OWN {
        let namespace = own.attribute.name.split('.').next().unwrap_or_default();
        namespaces.entry(namespace).or_default().push(definition(own));
    }
    namespaces.into_iter().map(|(namespace, attributes)| Group {
        id: format!("registry.throughline.{namespace}"),
        kind: "attribute_group",
        brief: format!("Attributes below `{namespace}` that are in no convention."),
        attributes,
        ..Group::default()
    })
}

fn definition(own: &OwnAttribute) -> GroupAttribute {
    let word = |word: &&'static str| Member {
        id: word,
        value: word,
        stability: STABILITY,
    };
    let (kind, examples): (_, &[&str]) = match own.values {
        Values::Words(words) => {
            let members = words.iter().map(word).collect();
            (AttributeType::Words { members }, &[])
        }
        Values::Examples(examples) => (simple(own.attribute.kind), examples),
        Values::Any => (simple(own.attribute.kind), &[]),
    };
    GroupAttribute::Definition {
        id: own.attribute.name,
        kind,
        brief: own.brief,
        stability: STABILITY,
        examples,
    }
}

fn simple(kind: Type) -> AttributeType {
    AttributeType::Simple(match kind {
        Type::Text => "string",
        Type::Int => "int",
        Type::Double => "double",
        Type::Bool => "boolean",
    })
}

fn resource() -> Group {
    Group {
        id: "attributes.throughline.resource".to_owned(),
        kind: "attribute_group",
        brief: "Attributes of every resource.".to_owned(),
        attributes: references(resource::ALWAYS.iter().map(|(name, _)| *name), &[]),
        ..Group::default()
    }
}

fn own_attributes_of_spans() -> Group {
    Group {
        id: OWN_OF_SPANS.to_owned(),
        kind: "attribute_group",
        brief: "Attributes that any span may have.".to_owned(),
        attributes: own_of_spans().map(of_span).collect(),
        ..Group::default()
    }
}

fn span(row: &SpanRow) -> Group {
    Group {
        id: format!("span.throughline.{}", row.title.to_lowercase().replace(' ', "_")),
        kind: "span",
        span_kind: Some(lens::kind_name(row.kind).to_lowercase()),
        brief: row.brief.replace("{steps}", &STEPS.join(", ")),
        stability: Some(STABILITY),
        extends: Some(OWN_OF_SPANS),
        attributes: row.attributes.iter().map(of_span).collect(),
        ..Group::default()
    }
}

fn of_span(attribute: &Attribute) -> GroupAttribute {
    GroupAttribute::Reference {
        name: attribute.name,
        requirement_level: match attribute.presence {
            Presence::Always => RequirementLevel::Required,
            Presence::Where(when, _) => RequirementLevel::ConditionallyRequired(when),
            Presence::Once | Presence::NotOnSpans => RequirementLevel::Recommended,
        },
    }
}

fn metrics() -> Definitions {
    let standard = metrics::ROWS.iter().filter(|row| row.brief.is_none());
    Definitions {
        imports: Some(Imports {
            metrics: standard.map(|row| row.name).collect(),
        }),
        ..definitions(metrics::ROWS.iter().filter_map(metric))
    }
}

fn metric(row: &MetricRow) -> Option<Group> {
    Some(Group {
        id: format!("metric.{}", row.name),
        kind: "metric",
        metric_name: Some(row.name),
        instrument: Some(match row.kind {
            Kind::Counter => "counter",
            Kind::UpDown => "updowncounter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }),
        unit: Some(row.unit),
        brief: row.brief?.to_owned(),
        stability: Some(STABILITY),
        attributes: references(row.always.iter().copied(), row.allowed),
        ..Group::default()
    })
}

fn event(row: &EventRow) -> Group {
    Group {
        id: format!("event.{}", row.name),
        kind: "event",
        name: Some(row.name),
        brief: format!("Recorded when {}.", row.brief),
        stability: Some(STABILITY),
        attributes: references(row.attributes.iter().copied(), &[]),
        ..Group::default()
    }
}

fn references(
    always: impl Iterator<Item = &'static str>,
    allowed: &'static [&'static str],
) -> Vec<GroupAttribute> {
    let reference = |requirement_level| {
        move |name| GroupAttribute::Reference {
            name,
            requirement_level,
        }
    };
    let allowed = allowed
        .iter()
        .copied()
        .map(reference(RequirementLevel::Recommended));
    always
        .map(reference(RequirementLevel::Required))
        .chain(allowed)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Namespaces that the conventions do not have.
    const NAMESPACES: [&str; 4] = ["order.", "payment.", "queue.", "analytics."];

    fn is_own(name: &str) -> bool {
        OWN.iter().any(|own| own.attribute.name == name)
    }

    #[test]
    fn an_own_attribute_is_defined_and_used() {
        let of_spans = spans::ROWS.iter().flat_map(|row| row.attributes);
        let of_spans = of_spans.chain(own_of_spans()).map(|attribute| attribute.name);
        let of_metrics = metrics::ROWS
            .iter()
            .flat_map(|row| row.always.iter().chain(row.allowed));
        let of_events = events::ROWS.iter().flat_map(|row| row.attributes);
        let used: BTreeSet<&str> = of_spans.chain(of_metrics.chain(of_events).copied()).collect();
        for name in &used {
            let must_be_own = NAMESPACES.iter().any(|namespace| name.starts_with(namespace));
            assert!(!must_be_own || is_own(name), "{name} is not defined");
        }
        for own in OWN {
            assert!(used.contains(own.attribute.name), "{own:?} is not used");
        }
    }

    #[test]
    fn the_words_of_an_attribute_are_those_of_its_values() {
        let words = |name: &str| match OWN.iter().find(|own| own.attribute.name == name)?.values {
            Values::Words(words) => Some(words),
            Values::Any | Values::Examples(_) => None,
        };
        let of_spans = spans::VALUES.iter().map(|(_, name, words)| (*name, *words));
        let of_metrics = metrics::VALUES.iter().map(|(_, name, words)| (*name, *words));
        for (name, values) in of_spans.chain(of_metrics).filter(|(name, _)| is_own(name)) {
            let words = words(name).unwrap_or_default();
            assert!(
                values.iter().all(|value| words.contains(value)),
                "{name}: {values:?}"
            );
        }
    }
}
