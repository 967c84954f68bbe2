//! Dispatching an order that is safe in PostgreSQL already: what fails here only makes it due at once, or, where the queue is full,
//! when its grace is over.

use dispatch::DispatchError;
use domain::OrderId;

use crate::state::AppState;

/// Never fails: the reconciler does what this could not.
pub(super) async fn at_once<T>(
    state: &AppState,
    dispatch: impl Future<Output = Result<T, DispatchError>>,
    order_id: OrderId,
) {
    let error = match dispatch.await {
        Ok(_) => return,
        Err(error @ DispatchError::Full) => {
            tracing::debug!(%error, order.id = %order_id, "not dispatched, the reconciler will");
            return;
        }
        Err(error) => error,
    };
    telemetry::log_warn!(error, order.id = %order_id, "not dispatched, the reconciler will");
    if let Err(error) = state.store.dispatch_now(order_id).await {
        telemetry::log_warn!(error, order.id = %order_id, "due only after its grace");
    }
}
