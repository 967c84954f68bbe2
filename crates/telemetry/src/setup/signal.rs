//! The names that one signal has in variables and paths.

#[derive(Debug)]
pub(super) struct Signal {
    pub(super) exporter: &'static str,
    /// As in `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) batch_timeout: &'static str,
}

pub(super) const TRACES: Signal = Signal {
    exporter: "OTEL_TRACES_EXPORTER",
    name: "TRACES",
    path: "v1/traces",
    batch_timeout: "OTEL_BSP_EXPORT_TIMEOUT",
};
pub(super) const METRICS: Signal = Signal {
    exporter: "OTEL_METRICS_EXPORTER",
    name: "METRICS",
    path: "v1/metrics",
    batch_timeout: "OTEL_METRIC_EXPORT_TIMEOUT",
};
pub(super) const LOGS: Signal = Signal {
    exporter: "OTEL_LOGS_EXPORTER",
    name: "LOGS",
    path: "v1/logs",
    batch_timeout: "OTEL_BLRP_EXPORT_TIMEOUT",
};
