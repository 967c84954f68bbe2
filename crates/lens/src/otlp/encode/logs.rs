//! Log records, for saved telemetry.

use opentelemetry_proto::tonic::logs::v1::{self as proto, LogsData, ResourceLogs, ScopeLogs};

use super::common::{grouped, pairs, value};
use crate::log::LogRecord;

/// The records as OTLP, by process and library.
pub(crate) fn logs_data(logs: &[LogRecord]) -> LogsData {
    let of_library = |scope, logs: Vec<&LogRecord>| ScopeLogs {
        scope,
        log_records: logs.into_iter().map(encode).collect(),
        ..Default::default()
    };
    let of_process = |(resource, scope_logs)| ResourceLogs {
        resource,
        scope_logs,
        ..Default::default()
    };
    let processes = grouped(logs, |log| (&log.resource, &log.scope), of_library);
    LogsData {
        resource_logs: processes.map(of_process).collect(),
    }
}

fn encode(log: &LogRecord) -> proto::LogRecord {
    proto::LogRecord {
        time_unix_nano: log.time_unix_nano,
        severity_number: log.severity.0,
        severity_text: log.severity_text.clone(),
        body: Some(value(&log.body)),
        attributes: pairs(&log.attributes),
        trace_id: log.trace_id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        span_id: log.span_id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        event_name: log.event_name.clone(),
        ..Default::default()
    }
}
