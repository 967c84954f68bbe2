//! The rows of resource attributes, by which each process describes itself.

use super::attributes::Type::{self, Int, Text};

/// Attributes of every resource.
pub(super) const ALWAYS: &[(&str, Type)] = &[
    ("service.name", Text),
    ("service.version", Text),
    ("service.instance.id", Text),
    ("service.namespace", Text),
    ("deployment.environment.name", Text),
    ("host.name", Text),
    ("os.type", Text),
    ("process.pid", Int),
    ("process.runtime.name", Text),
    ("process.runtime.version", Text),
    ("telemetry.sdk.name", Text),
    ("telemetry.sdk.language", Text),
    ("telemetry.sdk.version", Text),
];

/// Prefixes of attributes that come from the environment.
pub(super) const PREFIXES: &[&str] = &["k8s.", "cloud."];
