//! The rows of resource attributes: what each process says of itself.

use super::spans::Type::{self, Int, Text};

/// On every resource.
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

/// From the environment.
pub(super) const PREFIXES: &[&str] = &["k8s.", "cloud."];
