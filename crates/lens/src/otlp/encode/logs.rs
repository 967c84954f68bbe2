//! Log records, for saved telemetry.

use opentelemetry_proto::tonic::logs::v1::{self as proto, LogsData, ResourceLogs, ScopeLogs};

use super::common::{grouped, pairs, value};
use crate::log::LogRecord;

/// The records as OTLP, by process and library.
pub(crate) fn logs_data(logs: &[LogRecord]) -> LogsData {
    let processes = grouped(logs, |log| (&log.resource, &log.scope)).into_iter();
    let resource_logs = processes.map(|process| ResourceLogs {
        resource: Some(process.resource),
        scope_logs: process
            .scopes
            .into_iter()
            .map(|(scope, logs)| ScopeLogs {
                scope: Some(scope),
                log_records: logs.into_iter().map(encode).collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    LogsData {
        resource_logs: resource_logs.collect(),
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
