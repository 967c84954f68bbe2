//! What a program sets about its telemetry. All that an operator sets is in variables.

use mask::Pattern;
use opentelemetry::KeyValue;
use settings::Env;

use super::resource::Service;
use crate::names;

/// Sets telemetry up; [`builder`] makes one, and [`Builder::init`] ends it.
#[derive(Debug)]
#[must_use]
pub struct Builder {
    pub(super) service: Service,
    pub(super) patterns: Vec<Pattern>,
    /// `None` for those of the process.
    pub(super) variables: Option<Env>,
    pub(super) panic_hook: bool,
}

/// Telemetry of the service with this name (`service.name`) and version (`service.version`).
/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` override both.
pub fn builder(name: impl Into<String>, version: impl Into<String>) -> Builder {
    Builder {
        service: Service {
            name: name.into(),
            version: version.into(),
            attributes: Vec::new(),
        },
        patterns: Vec::new(),
        variables: None,
        panic_hook: true,
    }
}

impl Builder {
    /// The product that the service is part of (`service.namespace`).
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.attribute(KeyValue::new(names::SERVICE_NAMESPACE, namespace.into()))
    }

    /// An attribute of the resource, on every span, metric and log record of the process.
    /// `OTEL_RESOURCE_ATTRIBUTES` overrides it.
    pub fn attribute(mut self, attribute: KeyValue) -> Self {
        self.service.attributes.push(attribute);
        self
    }

    /// Masks these patterns too, in the whole process: optional ones, such as [`mask::IBAN`], and the
    /// program's own.
    pub fn mask(mut self, patterns: &[Pattern]) -> Self {
        self.patterns.extend_from_slice(patterns);
        self
    }

    /// Leaves the panic hook as it is: panics are lines on stderr, not masked, and no log records.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = false;
        self
    }

    /// Reads these variables in place of those of the process.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.variables = Some(variables.into_iter().collect());
        self
    }
}
