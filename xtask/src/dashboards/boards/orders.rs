//! Orders and the payment gateway.

use crate::dashboards::panel::Kind::{Lines, Stacked};
use crate::dashboards::panel::{Board, Panel, Row};

pub(super) const ORDERS: Board = Board {
    uid: "throughline-orders",
    title: "Throughline: orders and payments",
    description: "What becomes final, how fast, and why orders fail; the payment gateway.",
    rows: &[
        Row {
            title: "Orders",
            panels: &[
                Panel::new(
                    Lines,
                    "Created and final",
                    "Orders per second. Final ones lag behind while orders wait.",
                    "ops",
                    &[
                        (
                            "sum(rate(orders_created_total[$__rate_interval]))",
                            "created",
                        ),
                        (
                            "sum(rate(orders_completed_total[$__rate_interval]))",
                            "completed",
                        ),
                        (
                            "sum(rate(orders_failed_total[$__rate_interval]))",
                            "failed",
                        ),
                        (
                            "sum(rate(orders_cancelled_total[$__rate_interval]))",
                            "cancelled",
                        ),
                    ],
                ),
                Panel::new(
                    Lines,
                    "From creation to the final state",
                    "Percentiles of completed and failed orders.",
                    "s",
                    &[
                        (
                            "histogram_quantile(0.5, sum by (le) (rate(orders_processing_duration_seconds_bucket[$__rate_interval])))",
                            "p50",
                        ),
                        (
                            "histogram_quantile(0.95, sum by (le) (rate(orders_processing_duration_seconds_bucket[$__rate_interval])))",
                            "p95",
                        ),
                        (
                            "histogram_quantile(0.99, sum by (le) (rate(orders_processing_duration_seconds_bucket[$__rate_interval])))",
                            "p99",
                        ),
                    ],
                )
                .red_from(5.0)
                .alert("OrdersLatencyBudgetBurn")
                .traces("duration>5s"),
                Panel::new(
                    Stacked,
                    "Failures by code",
                    "Orders per second.",
                    "ops",
                    &[
                        (
                            "sum by (order_failure_code) (rate(orders_failed_total[$__rate_interval]))",
                            "{{order_failure_code}}",
                        ),
                    ],
                )
                .alert("OrdersFail")
                .traces("order.failure.code=payment_rejected"),
                Panel::new(
                    Stacked,
                    "What unfinished orders wait for",
                    "Pending orders. At 100,000 in all: at least that many.",
                    "short",
                    &[
                        (
                            "throughline:orders_waiting:max",
                            "{{order_waiting_reason}}",
                        ),
                    ],
                )
                .alert("OrdersWaitTooLong"),
                Panel::new(
                    Lines,
                    "Oldest unfinished order",
                    "Its age. It grows while orders wait for the gateway, or for the end of a pause.",
                    "s",
                    &[
                        (
                            "throughline:orders_unfinished_age_seconds:max",
                            "age",
                        ),
                    ],
                )
                .red_from(900.0)
                .alert("OrderStuck"),
                Panel::new(
                    Lines,
                    "Unreadable rows",
                    "Rows that were left for another version, within 15 minutes.",
                    "short",
                    &[
                        (
                            "throughline:orders_unreadable:increase15m",
                            "rows",
                        ),
                    ],
                )
                .red_from(1.0)
                .alert("OrdersUnreadable"),
            ],
        },
        Row {
            title: "Payment gateway",
            panels: &[
                Panel::new(
                    Lines,
                    "Circuit breaker",
                    "By worker: 1 while it sends requests, 0 while it only probes.",
                    "short",
                    &[
                        (
                            "payment_gateway_available_ratio",
                            "{{instance}}",
                        ),
                    ],
                )
                .alert("PaymentGatewayUnavailable")
                .traces("{ name=process_payment error }"),
                Panel::new(
                    Stacked,
                    "Requests by outcome",
                    "Requests of the workers per second.",
                    "ops",
                    &[
                        (
                            r#"sum by (http_request_method, http_response_status_code, error_type) (rate(http_client_request_duration_seconds_count{job="throughline/throughline-worker"}[$__rate_interval]))"#,
                            "{{http_request_method}} {{http_response_status_code}} {{error_type}}",
                        ),
                    ],
                )
                .alert("PaymentGatewayRejectsKey"),
                Panel::new(
                    Lines,
                    "Duration of requests",
                    "Percentiles, to the head of the response.",
                    "s",
                    &[
                        (
                            r#"histogram_quantile(0.5, sum by (le) (rate(http_client_request_duration_seconds_bucket{job="throughline/throughline-worker"}[$__rate_interval])))"#,
                            "p50",
                        ),
                        (
                            r#"histogram_quantile(0.99, sum by (le) (rate(http_client_request_duration_seconds_bucket{job="throughline/throughline-worker"}[$__rate_interval])))"#,
                            "p99",
                        ),
                    ],
                )
                .red_from(10.0),
                Panel::new(
                    Lines,
                    "Rate that the workers allow themselves",
                    "Requests per second; absent while unlimited.",
                    "reqps",
                    &[
                        (
                            "payment_gateway_rate_per_second",
                            "{{instance}}",
                        ),
                    ],
                ),
            ],
        },
    ],
};
