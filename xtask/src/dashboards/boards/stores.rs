//! PostgreSQL and Redis.

use crate::dashboards::panel::Kind::{Lines, Stacked};
use crate::dashboards::panel::{Board, Panel, Row};

pub(super) const STORES: Board = Board {
    uid: "throughline-stores",
    title: "Throughline: PostgreSQL and Redis",
    description: "Statements and connections as the programs see them, and the servers themselves.",
    rows: &[
        Row {
            title: "Statements",
            panels: &[
                Panel::new(
                    Stacked,
                    "Statements by table",
                    "Per second.",
                    "ops",
                    &[
                        (
                            r#"sum by (db_operation_name, db_collection_name) (rate(db_client_operation_duration_seconds_count{db_system_name="postgresql"}[$__rate_interval]))"#,
                            "{{db_operation_name}} {{db_collection_name}}",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "Duration, 99th percentile",
                    "By operation and table.",
                    "s",
                    &[
                        (
                            r#"histogram_quantile(0.99, sum by (le, db_operation_name, db_collection_name) (rate(db_client_operation_duration_seconds_bucket{db_system_name="postgresql"}[$__rate_interval])))"#,
                            "{{db_operation_name}} {{db_collection_name}}",
                        ),
                    ],
                )
                .traces("db.query.slow=true"),
                Panel::new(
                    Stacked,
                    "Errors",
                    "Statements per second that failed.",
                    "ops",
                    &[
                        (
                            r#"sum by (job, error_type, db_response_status_code) (rate(db_client_operation_duration_seconds_count{db_system_name="postgresql",error_type!=""}[$__rate_interval]))"#,
                            "{{job}} {{error_type}} {{db_response_status_code}}",
                        ),
                    ],
                )
                .alert("PostgresUnavailable"),
            ],
        },
        Row {
            title: "Pools",
            panels: &[
                Panel::new(
                    Stacked,
                    "Connections",
                    "By program, pool and state.",
                    "short",
                    &[
                        (
                            "sum by (job, db_client_connection_pool_name, db_client_connection_state) (db_client_connection_count)",
                            "{{job}} {{db_client_connection_pool_name}} {{db_client_connection_state}}",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "Statements that wait for a connection",
                    "By program and pool.",
                    "short",
                    &[
                        (
                            "sum by (job, db_client_connection_pool_name) (db_client_connection_pending_requests)",
                            "{{job}} {{db_client_connection_pool_name}}",
                        ),
                    ],
                )
                .alert("PostgresPoolExhausted"),
                Panel::new(
                    Lines,
                    "Time until a connection is free",
                    "99th percentile.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.99, sum by (le, job, db_client_connection_pool_name) (rate(db_client_connection_wait_time_seconds_bucket[$__rate_interval])))",
                            "{{job}} {{db_client_connection_pool_name}}",
                        ),
                    ],
                )
                .red_from(2.0)
                .alert("PostgresPoolExhausted"),
            ],
        },
        Row {
            title: "PostgreSQL",
            panels: &[
                Panel::new(
                    Lines,
                    "Connections of the server",
                    "Against max_connections.",
                    "percentunit",
                    &[
                        (
                            "sum(postgresql_backends) / max(postgresql_connection_max)",
                            "used",
                        ),
                    ],
                )
                .width(6)
                .red_from(0.8)
                .alert("PostgresConnectionsHigh"),
                Panel::new(
                    Lines,
                    "Oldest snapshot",
                    "Age of the oldest transaction that holds one.",
                    "s",
                    &[
                        (
                            "max(postgresql_snapshot_age_seconds)",
                            "age",
                        ),
                    ],
                )
                .width(6)
                .red_from(600.0)
                .alert("PostgresSnapshotHeld"),
                Panel::new(
                    Lines,
                    "Transactions",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum(rate(postgresql_commits_total[$__rate_interval]))",
                            "commits",
                        ),
                        (
                            "sum(rate(postgresql_rollbacks_total[$__rate_interval]))",
                            "rollbacks",
                        ),
                        (
                            "sum(rate(postgresql_deadlocks_total[$__rate_interval]))",
                            "deadlocks",
                        ),
                    ],
                )
                .width(6),
                Panel::new(
                    Lines,
                    "Dead rows",
                    "By table, until a vacuum.",
                    "short",
                    &[
                        (
                            r#"topk(5, sum by (db_collection_name) (postgresql_rows{state="dead"}))"#,
                            "{{db_collection_name}}",
                        ),
                    ],
                )
                .width(6),
                Panel::new(
                    Lines,
                    "Size",
                    "Of the database.",
                    "bytes",
                    &[
                        (
                            "sum(postgresql_db_size_bytes)",
                            "size",
                        ),
                    ],
                )
                .width(6),
            ],
        },
        Row {
            title: "Redis",
            panels: &[
                Panel::new(
                    Lines,
                    "Memory",
                    "Against maxmemory.",
                    "bytes",
                    &[
                        (
                            "max(redis_memory_used_bytes)",
                            "used",
                        ),
                        (
                            "max(redis_maxmemory_bytes)",
                            "maxmemory",
                        ),
                    ],
                )
                .width(6)
                .alert("RedisMemoryHigh"),
                Panel::new(
                    Lines,
                    "Commands",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum(rate(redis_commands_processed_total[$__rate_interval]))",
                            "commands",
                        ),
                    ],
                )
                .width(6),
                Panel::new(
                    Lines,
                    "Clients",
                    "Connected.",
                    "short",
                    &[
                        (
                            "max(redis_clients_connected)",
                            "clients",
                        ),
                    ],
                )
                .width(6),
                Panel::new(
                    Lines,
                    "Evicted keys",
                    "Within 10 minutes. Any is a wrong maxmemory-policy.",
                    "short",
                    &[
                        (
                            "max(increase(redis_keys_evicted_total[10m]))",
                            "keys",
                        ),
                    ],
                )
                .width(6)
                .red_from(1.0)
                .alert("RedisEvicts"),
            ],
        },
    ],
};
