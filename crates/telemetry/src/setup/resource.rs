//! Who reports: the resource attributes of this process.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};

use super::Service;
use super::settings::OtelSettings;
use crate::names;

/// What is known of the process, then what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` say, which wins.
pub(super) fn detect(service: &Service, settings: &OtelSettings) -> Resource {
    let mut attributes = vec![
        KeyValue::new(names::SERVICE_NAME, service.name),
        KeyValue::new(names::SERVICE_VERSION, service.version),
        KeyValue::new(names::SERVICE_INSTANCE_ID, uuid::Uuid::new_v4().to_string()),
        KeyValue::new(
            names::DEPLOYMENT_ENVIRONMENT_NAME,
            settings.environment.clone(),
        ),
        KeyValue::new(names::OS_TYPE, std::env::consts::OS),
        KeyValue::new(names::PROCESS_PID, i64::from(std::process::id())),
        KeyValue::new(names::PROCESS_RUNTIME_NAME, "rustc"),
        KeyValue::new(names::PROCESS_RUNTIME_VERSION, env!("RUSTC_VERSION")),
    ];
    attributes.extend(
        service
            .namespace
            .map(|name| KeyValue::new(names::SERVICE_NAMESPACE, name)),
    );
    attributes.extend(host_name().map(|name| KeyValue::new(names::HOST_NAME, name)));

    let resource = Resource::builder_empty()
        .with_attributes(attributes)
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
