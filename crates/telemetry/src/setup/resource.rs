//! The resource attributes of this process, its host and its pod.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use percent_encoding::percent_decode_str;
use settings::Env;

use super::configuration::Configuration;
use crate::names;

/// The service that produces the telemetry.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) version: String,
    /// What the program adds.
    pub(super) attributes: Vec<KeyValue>,
}

/// Variables that manifests commonly fill from the Kubernetes downward API, those in `deploy/k8s` among them.
const DOWNWARD_API: &[(&str, &str)] = &[
    ("K8S_POD_NAME", names::K8S_POD_NAME),
    ("K8S_POD_UID", names::K8S_POD_UID),
    ("K8S_NAMESPACE_NAME", names::K8S_NAMESPACE_NAME),
    ("K8S_NODE_NAME", names::K8S_NODE_NAME),
    ("K8S_CONTAINER_NAME", names::K8S_CONTAINER_NAME),
    ("K8S_DEPLOYMENT_NAME", names::K8S_DEPLOYMENT_NAME),
];

/// The attributes of the process and of the program, overridden by those of the configuration.
pub(super) fn detect(service: Service, configuration: &Configuration, env: &Env) -> Resource {
    let mut attributes = vec![
        KeyValue::new(names::SERVICE_NAME, service.name),
        KeyValue::new(names::SERVICE_VERSION, service.version),
        KeyValue::new(names::SERVICE_INSTANCE_ID, instance_id()),
        KeyValue::new(
            names::DEPLOYMENT_ENVIRONMENT_NAME,
            configuration.environment.clone(),
        ),
        KeyValue::new(names::OS_TYPE, os_type(std::env::consts::OS)),
        KeyValue::new(names::PROCESS_PID, i64::from(std::process::id())),
        KeyValue::new(names::PROCESS_RUNTIME_NAME, "rustc"),
        KeyValue::new(names::PROCESS_RUNTIME_VERSION, env!("RUSTC_VERSION")),
    ];
    attributes.extend(host_name(env).map(|name| KeyValue::new(names::HOST_NAME, name)));
    for (variable, name) in DOWNWARD_API {
        let value = env.get(variable).map(str::to_owned);
        attributes.extend(value.map(|value| KeyValue::new(*name, value)));
    }
    attributes.extend(service.attributes);
    attributes.extend(configuration.attributes.iter().cloned());
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes)
        .with_schema_url([], configuration.schema_url.clone())
        .build()
}

/// A random UUID, from the random bytes of the SDK.
fn instance_id() -> String {
    let bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// What [`parse_list`] takes, for messages.
pub(super) const LIST: &str = "a list name=value,name=value, with percent-encoded values";

/// A list as in `OTEL_RESOURCE_ATTRIBUTES`.
pub(super) fn parse_list(list: &str) -> Option<Vec<KeyValue>> {
    let attribute = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim();
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        (!name.is_empty()).then(|| KeyValue::new(name.to_owned(), value.into_owned()))
    };
    let pairs = list.split(',').filter(|pair| !pair.trim().is_empty());
    pairs.map(attribute).collect()
}

/// `os.type` as the conventions spell it.
fn os_type(os: &'static str) -> &'static str {
    match os {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

fn host_name(env: &Env) -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| env.get("HOSTNAME").map(str::to_owned))?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::environment;

    fn service() -> Service {
        Service {
            name: "shop".to_owned(),
            version: "1.2.3".to_owned(),
            attributes: vec![KeyValue::new(names::SERVICE_NAMESPACE, "retail")],
        }
    }

    fn resource<const N: usize>(pairs: [(&str, &str); N]) -> Resource {
        let env: Env = [("ENVIRONMENT", "staging")].into_iter().chain(pairs).collect();
        detect(service(), &environment::read(&env).unwrap(), &env)
    }

    fn value(resource: &Resource, name: &'static str) -> Option<String> {
        resource.get(&name.into()).map(|value| value.to_string())
    }

    #[test]
    fn the_process_describes_itself() {
        let resource = resource([("K8S_POD_NAME", "shop-7d9f")]);
        for (name, expected) in [
            (names::SERVICE_NAME, "shop"),
            (names::SERVICE_VERSION, "1.2.3"),
            (names::SERVICE_NAMESPACE, "retail"),
            (names::DEPLOYMENT_ENVIRONMENT_NAME, "staging"),
            (names::OS_TYPE, os_type(std::env::consts::OS)),
            (names::PROCESS_RUNTIME_NAME, "rustc"),
            (names::K8S_POD_NAME, "shop-7d9f"),
            ("telemetry.sdk.language", "rust"),
        ] {
            assert_eq!(value(&resource, name).as_deref(), Some(expected), "{name}");
        }
        for name in [
            names::SERVICE_INSTANCE_ID,
            names::PROCESS_RUNTIME_VERSION,
            names::HOST_NAME,
        ] {
            assert!(value(&resource, name).is_some_and(|value| !value.is_empty()));
        }
    }

    #[test]
    fn an_operating_system_has_the_name_of_the_conventions() {
        assert_eq!(["macos", "linux"].map(os_type), ["darwin", "linux"]);
    }

    #[test]
    fn the_environment_overrides() {
        let resource = resource([
            ("OTEL_SERVICE_NAME", "other"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.version=9,cloud.region=eu%20west,service.name=listed",
            ),
        ]);
        assert_eq!(value(&resource, names::SERVICE_NAME).as_deref(), Some("other"));
        assert_eq!(value(&resource, names::SERVICE_VERSION).as_deref(), Some("9"));
        assert_eq!(value(&resource, "cloud.region").as_deref(), Some("eu west"));
    }

    #[test]
    fn a_malformed_list_is_an_error() {
        let env = Env::of([("OTEL_RESOURCE_ATTRIBUTES", "team")]);
        let error = environment::read(&env).unwrap_err().to_string();
        assert!(error.starts_with("OTEL_RESOURCE_ATTRIBUTES: got `team`; takes a list"));
    }
}
