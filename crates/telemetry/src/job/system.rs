//! The queue's product, as the spans of both ends name it.

use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::names;

/// The attributes with another `messaging.system`.
pub(super) fn with_system(attributes: &[KeyValue], system: &'static str) -> Arc<[KeyValue]> {
    let replaced = |attribute: &KeyValue| match attribute.key.as_str() {
        names::MESSAGING_SYSTEM => KeyValue::new(names::MESSAGING_SYSTEM, system),
        _ => attribute.clone(),
    };
    attributes.iter().map(replaced).collect()
}
