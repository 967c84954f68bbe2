//! The job that makes a worker process one order.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::{Attempt, OrderId};

/// The W3C trace context (<https://www.w3.org/TR/trace-context/>) as the text map that OpenTelemetry's
/// propagators write and read: `traceparent`, and `tracestate` if there is one. Empty if nothing is traced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceContext(pub HashMap<String, String>);

impl TraceContext {
    /// The trace id, 32 hexadecimal digits; `None` if nothing is traced.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.get("traceparent")?.split('-').nth(1)
    }
}

/// The job's payload. It may be lost or delivered twice: the claim in PostgreSQL decides who processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessOrder {
    /// The order to process.
    pub order_id: OrderId,
    /// The attempt to start: one more than the order has had.
    pub attempt: Attempt,
    /// The context of the span that sent this job.
    #[serde(default)]
    pub trace: TraceContext,
    /// The context of the preceding attempt; the new one's span links to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_attempt: Option<TraceContext>,
}

impl ProcessOrder {
    /// `<order id>:<attempt>`: dispatching the same attempt twice enqueues it once.
    pub fn job_id(&self) -> String {
        format!("{}:{}", self.order_id, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_keeps_its_shape_for_workers_of_other_versions() {
        let json = r#"{"order_id":"0192e4a0-0000-7000-8000-000000000000","attempt":2,"trace":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}"#;
        let job: ProcessOrder = serde_json::from_str(json).unwrap();
        assert_eq!(job.job_id(), "0192e4a0-0000-7000-8000-000000000000:2");
        assert_eq!(job.trace.trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
        let newer = json.replace("{\"order_id\"", "{\"priority\":1,\"order_id\"");
        assert_eq!(serde_json::from_str::<ProcessOrder>(&newer).unwrap(), job);
    }
}
