//! The first page: alerts, objectives, requests.

use crate::dashboards::panel::Kind::{Lines, Stacked, Stat, Table};
use crate::dashboards::panel::{Board, Panel, Row};

pub(super) const OVERVIEW: Board = Board {
    uid: "throughline-overview",
    title: "Throughline: overview",
    description: "Is everything well? Alerts, objectives and their error budgets, requests and orders.",
    rows: &[
        Row {
            title: "Now",
            panels: &[
                Panel::new(
                    Table,
                    "Firing alerts",
                    "Each has a page in docs/runbooks.",
                    "short",
                    &[
                        (
                            r#"sum by (alertname, severity) (ALERTS{alertstate="firing"})"#,
                            "",
                        ),
                    ],
                )
                .width(8),
                Panel::new(
                    Stat,
                    "Orders created",
                    "Per second.",
                    "ops",
                    &[
                        (
                            "sum(rate(orders_created_total[$__rate_interval]))",
                            "created",
                        ),
                    ],
                ),
                Panel::new(
                    Stat,
                    "Orders final",
                    "Completed and failed, per second.",
                    "ops",
                    &[
                        (
                            "sum(rate(orders_processing_duration_seconds_count[$__rate_interval]))",
                            "final",
                        ),
                    ],
                ),
                Panel::new(
                    Stat,
                    "Oldest unfinished",
                    "Age of the oldest order that is not final.",
                    "s",
                    &[
                        (
                            "throughline:orders_unfinished_age_seconds:max",
                            "age",
                        ),
                    ],
                )
                .red_from(900.0)
                .alert("OrdersWaitTooLong"),
                Panel::new(
                    Stat,
                    "Gateway",
                    "1 if every worker sends requests to the payment gateway.",
                    "short",
                    &[
                        (
                            "min(payment_gateway_available_ratio)",
                            "available",
                        ),
                    ],
                )
                .alert("PaymentGatewayUnavailable"),
            ],
        },
        Row {
            title: "Objectives",
            panels: &[
                Panel::new(
                    Lines,
                    "Burn rate: availability of POST /api/orders",
                    "1 uses the budget of 30 days (0.1 %) up within 30 days. 14.4 over an hour wakes a person.",
                    "short",
                    &[
                        (
                            "throughline:post_orders_errors:ratio_rate5m / 0.001",
                            "5 min",
                        ),
                        (
                            "throughline:post_orders_errors:ratio_rate1h / 0.001",
                            "1 h",
                        ),
                        (
                            "throughline:post_orders_errors:ratio_rate6h / 0.001",
                            "6 h",
                        ),
                        (
                            "throughline:post_orders_errors:ratio_rate3d / 0.001",
                            "3 d",
                        ),
                    ],
                )
                .red_from(14.4)
                .alert("OrdersAvailabilityBudgetBurn")
                .traces("{ http.route=/api/orders error }"),
                Panel::new(
                    Lines,
                    "Burn rate: final within 5 s",
                    "Of a budget of 1 %.",
                    "short",
                    &[
                        (
                            "throughline:orders_late:ratio_rate5m / 0.01",
                            "5 min",
                        ),
                        (
                            "throughline:orders_late:ratio_rate1h / 0.01",
                            "1 h",
                        ),
                        (
                            "throughline:orders_late:ratio_rate6h / 0.01",
                            "6 h",
                        ),
                        (
                            "throughline:orders_late:ratio_rate3d / 0.01",
                            "3 d",
                        ),
                    ],
                )
                .red_from(14.4)
                .alert("OrdersLatencyBudgetBurn")
                .traces("duration>5s"),
                Panel::new(
                    Lines,
                    "Burn rate: payments settled in time",
                    "Of a budget of 0.1 %.",
                    "short",
                    &[
                        (
                            "throughline:orders_unsettled:ratio_rate5m / 0.001",
                            "5 min",
                        ),
                        (
                            "throughline:orders_unsettled:ratio_rate1h / 0.001",
                            "1 h",
                        ),
                        (
                            "throughline:orders_unsettled:ratio_rate6h / 0.001",
                            "6 h",
                        ),
                        (
                            "throughline:orders_unsettled:ratio_rate3d / 0.001",
                            "3 d",
                        ),
                    ],
                )
                .red_from(14.4)
                .alert("PaymentsUnsettledBudgetBurn")
                .traces("{ name=process_payment error }"),
            ],
        },
        Row {
            title: "Requests",
            panels: &[
                Panel::new(
                    Stacked,
                    "Rate by route",
                    "Requests per second.",
                    "ops",
                    &[
                        (
                            r#"sum by (http_request_method, http_route) (rate(http_server_request_duration_seconds_count{job="throughline/throughline-api"}[$__rate_interval]))"#,
                            "{{http_request_method}} {{http_route}}",
                        ),
                    ],
                ),
                Panel::new(
                    Stacked,
                    "Errors by status",
                    "Responses of 4xx and 5xx per second.",
                    "ops",
                    &[
                        (
                            r#"sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count{job="throughline/throughline-api",http_response_status_code=~"[45].."}[$__rate_interval]))"#,
                            "{{http_response_status_code}}",
                        ),
                    ],
                )
                .alert("ApiOverloaded")
                .traces("{ service=throughline-api error }"),
                Panel::new(
                    Lines,
                    "Duration of POST /api/orders",
                    "Percentiles of the time to the last byte of the response.",
                    "s",
                    &[
                        (
                            r#"histogram_quantile(0.5, sum by (le) (rate(http_server_request_duration_seconds_bucket{job="throughline/throughline-api",http_request_method="POST",http_route="/api/orders"}[$__rate_interval])))"#,
                            "p50",
                        ),
                        (
                            r#"histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket{job="throughline/throughline-api",http_request_method="POST",http_route="/api/orders"}[$__rate_interval])))"#,
                            "p95",
                        ),
                        (
                            r#"histogram_quantile(0.99, sum by (le) (rate(http_server_request_duration_seconds_bucket{job="throughline/throughline-api",http_request_method="POST",http_route="/api/orders"}[$__rate_interval])))"#,
                            "p99",
                        ),
                    ],
                )
                .traces("http.route=/api/orders duration>100ms"),
            ],
        },
    ],
};
