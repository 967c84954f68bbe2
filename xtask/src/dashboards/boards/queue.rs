//! The queue and the workers.

use crate::dashboards::panel::Kind::{Lines, Stacked, Stat};
use crate::dashboards::panel::{Board, Panel, Row};

pub(super) const QUEUE: Board = Board {
    uid: "throughline-queue",
    title: "Throughline: queue and workers",
    description: "What waits, what is in work, and what is dispatched again.",
    rows: &[
        Row {
            title: "Queue",
            panels: &[
                Panel::new(
                    Lines,
                    "Waiting and in flight",
                    "Jobs in Redis.",
                    "short",
                    &[
                        (
                            "throughline:queue_depth:max",
                            "waiting",
                        ),
                        (
                            "max(queue_in_flight)",
                            "in flight",
                        ),
                    ],
                )
                .alert("QueueGrows"),
                Panel::new(
                    Lines,
                    "Oldest job or due order",
                    "Its age; while no job waits, it is the lag of the reconciler.",
                    "s",
                    &[
                        (
                            "throughline:queue_oldest_age_seconds:max",
                            "age",
                        ),
                    ],
                )
                .red_from(300.0)
                .alert("QueueLags"),
                Panel::new(
                    Stacked,
                    "Dispatched again, by reason",
                    "Jobs per second: retries after backoff, expired leases, lost jobs.",
                    "ops",
                    &[
                        (
                            "sum by (queue_reason) (rate(queue_reconciled_total[$__rate_interval]))",
                            "{{queue_reason}}",
                        ),
                    ],
                )
                .alert("WorkersDie")
                .traces("queue.reason=lease_expired"),
            ],
        },
        Row {
            title: "Workers",
            panels: &[
                Panel::new(
                    Stat,
                    "Workers",
                    "That send metrics.",
                    "short",
                    &[
                        (
                            r#"count(count by (instance) (db_client_connection_max{job="throughline/throughline-worker"}))"#,
                            "workers",
                        ),
                    ],
                )
                .alert("WorkersMissing"),
                Panel::new(
                    Stat,
                    "Apis",
                    "That send metrics.",
                    "short",
                    &[
                        (
                            r#"count(count by (instance) (db_client_connection_max{job="throughline/throughline-api"}))"#,
                            "apis",
                        ),
                    ],
                )
                .alert("ApiMissing"),
                Panel::new(
                    Stacked,
                    "Attempts by outcome",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum by (error_type) (rate(messaging_client_consumed_messages_total[$__rate_interval]))",
                            "{{error_type}}",
                        ),
                    ],
                )
                .width(8)
                .traces(r#"{ name="process orders" error }"#),
                Panel::new(
                    Lines,
                    "Duration of an attempt",
                    "Percentiles.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (le) (rate(messaging_process_duration_seconds_bucket[$__rate_interval])))",
                            "p50",
                        ),
                        (
                            "histogram_quantile(0.99, sum by (le) (rate(messaging_process_duration_seconds_bucket[$__rate_interval])))",
                            "p99",
                        ),
                    ],
                )
                .width(8)
                .traces(r#"name="process orders" duration>1s"#),
                Panel::new(
                    Lines,
                    "Attempts by worker",
                    "Per second. A worker without attempts beside busy ones has a problem.",
                    "ops",
                    &[
                        (
                            "sum by (instance) (rate(messaging_client_consumed_messages_total[$__rate_interval]))",
                            "{{instance}}",
                        ),
                    ],
                ),
                Panel::new(
                    Stacked,
                    "Jobs sent by outcome",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum by (job, error_type) (rate(messaging_client_sent_messages_total[$__rate_interval]))",
                            "{{job}} {{error_type}}",
                        ),
                    ],
                )
                .alert("RedisUnavailable"),
            ],
        },
    ],
};
