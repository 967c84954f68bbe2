//! Telemetry itself: what is dropped, the processes that send it, and the collector.

use crate::dashboards::panel::Kind::Lines;
use crate::dashboards::panel::{Board, Panel, Row};

pub(super) const TELEMETRY: Board = Board {
    uid: "throughline-telemetry",
    title: "Throughline: telemetry",
    description: "Whether what the other dashboards show is whole.",
    rows: &[
        Row {
            title: "Services",
            panels: &[
                Panel::new(
                    Lines,
                    "Dropped spans",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum by (job) (rate(telemetry_spans_dropped_total[$__rate_interval]))",
                            "{{job}}",
                        ),
                    ],
                )
                .alert("TelemetryDropped"),
                Panel::new(
                    Lines,
                    "Dropped log records",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum by (job) (rate(telemetry_logs_dropped_total[$__rate_interval]))",
                            "{{job}}",
                        ),
                    ],
                )
                .alert("TelemetryDropped"),
                Panel::new(
                    Lines,
                    "Processes that send metrics",
                    "By program.",
                    "short",
                    &[
                        (
                            "count by (job) (count by (job, instance) (db_client_connection_max))",
                            "{{job}}",
                        ),
                    ],
                )
                .alert("WorkersMissing"),
            ],
        },
        Row {
            title: "Processes",
            panels: &[
                Panel::new(
                    Lines,
                    "CPU",
                    "Cores in use, by process.",
                    "short",
                    &[
                        (
                            "sum by (job, instance) (rate(process_cpu_time_seconds_total[$__rate_interval]))",
                            "{{job}} {{instance}}",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "Memory",
                    "Resident, by process.",
                    "bytes",
                    &[
                        (
                            "process_memory_usage_bytes",
                            "{{job}} {{instance}}",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "Threads and open files",
                    "The largest of each program.",
                    "short",
                    &[
                        (
                            "max by (job) (process_thread_count)",
                            "{{job}} threads",
                        ),
                        (
                            "max by (job) (process_open_file_descriptor_count)",
                            "{{job}} files",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "Tasks that wait for a thread",
                    "In the shared queues of tokio's runtimes. It stays near 0 while no thread is blocked.",
                    "short",
                    &[
                        (
                            "sum by (job, instance) (tokio_queue_depth)",
                            "{{job}} {{instance}}",
                        ),
                    ],
                ),
            ],
        },
        Row {
            title: "Collector",
            panels: &[
                Panel::new(
                    Lines,
                    "Reachable",
                    "1 if Prometheus can read from it.",
                    "short",
                    &[
                        (
                            r#"up{job=~"throughline|otel-collector"}"#,
                            "{{job}}",
                        ),
                    ],
                )
                .alert("CollectorUnreachable"),
                Panel::new(
                    Lines,
                    "Spans received",
                    "Per second, accepted and rejected.",
                    "ops",
                    &[
                        (
                            "sum by (receiver) (rate(otelcol_receiver_accepted_spans_total[$__rate_interval]))",
                            "{{receiver}} accepted",
                        ),
                        (
                            "sum by (receiver) (rate(otelcol_receiver_refused_spans_total[$__rate_interval]))",
                            "{{receiver}} rejected",
                        ),
                    ],
                )
                .alert("CollectorLosesData"),
                Panel::new(
                    Lines,
                    "Spans sent",
                    "Per second, sent and failed.",
                    "ops",
                    &[
                        (
                            "sum by (exporter) (rate(otelcol_exporter_sent_spans_total[$__rate_interval]))",
                            "{{exporter}} sent",
                        ),
                        (
                            "sum by (exporter) (rate(otelcol_exporter_send_failed_spans_total[$__rate_interval]))",
                            "{{exporter}} failed",
                        ),
                    ],
                )
                .alert("CollectorLosesData"),
                Panel::new(
                    Lines,
                    "Queues of the exporters",
                    "Against their capacity.",
                    "percentunit",
                    &[
                        (
                            "max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)",
                            "{{exporter}}",
                        ),
                    ],
                )
                .red_from(0.8)
                .alert("CollectorLosesData"),
            ],
        },
    ],
};
