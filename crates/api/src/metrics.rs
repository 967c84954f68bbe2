//! The metrics of this service. Those of HTTP, statements and jobs come from `telemetry`.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use telemetry::metrics::counter;

static CREATED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.created", "{order}", "Orders created."));
static CANCELLED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.cancelled", "{order}", "Orders that were cancelled."));
static UNREADABLE: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let what = "Orders that were left for another version of the program, which can read them.";
    counter("orders.unreadable", "{order}", what)
});

/// Call it for a new order only, not for a replayed response.
pub(crate) fn order_created() {
    CREATED.add(1, &[]);
}

pub(crate) fn order_cancelled() {
    CANCELLED.add(1, &[]);
}

/// Counts an order whose row this version cannot read.
pub(crate) fn order_unreadable() {
    UNREADABLE.add(1, &[]);
}
