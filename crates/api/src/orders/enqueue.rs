//! Enqueues the job of an order that is stored already. A failure is not an error of the request: the
//! reconciler dispatches the order, at once, or after its grace if the queue is full.

use dispatch::DispatchError;
use domain::OrderId;

use crate::state::AppState;

/// Awaits `dispatch`. If it fails, makes the order due.
pub(super) async fn or_make_due<T>(
    state: &AppState,
    dispatch: impl Future<Output = Result<T, DispatchError>>,
    order_id: OrderId,
) {
    let Err(error) = dispatch.await else {
        return;
    };
    if matches!(error, DispatchError::Full) {
        tracing::debug!(%error, order.id = %order_id, "not enqueued, due after its grace");
        return;
    }
    telemetry::log_warn!(error, order.id = %order_id, "not enqueued, due now");
    if let Err(error) = state.store.dispatch_now(order_id).await {
        telemetry::log_warn!(error, order.id = %order_id, "cannot make the order due, due after its grace");
    }
}
