//! What the service counts of its own.

use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use telemetry::metrics::counter;

static CREATED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("orders.created", "{order}", "Orders that were taken."));
static CANCELLED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let what = "Orders that were cancelled before a worker took them.";
    counter("orders.cancelled", "{order}", what)
});

/// An order was taken; the answer to a request that is repeated takes none.
pub(crate) fn order_created() {
    CREATED.add(1, &[]);
}

/// An order was cancelled.
pub(crate) fn order_cancelled() {
    CANCELLED.add(1, &[]);
}
