//! Creating an order: one INSERT, and the order is safe. Its `dispatch_after` is in the future, so that the
//! caller dispatches it before the reconciler does.

use std::sync::Arc;
use std::time::Duration;

use domain::Order;

use crate::batches::insert::{InsertOrders, NewOrder};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Stores a [new](Order::new) order. The reconciler dispatches it after `grace`, if no worker has claimed
    /// it until then.
    ///
    /// # Errors
    /// After [`StoreError::Unavailable`] the order may or may not be stored.
    pub async fn create(&self, order: Order, grace: Duration) -> Result<Order, StoreError> {
        let order = Arc::new(order);
        let new = NewOrder {
            order: Arc::clone(&order),
            grace,
        };
        let created_at = self.batched::<InsertOrders>(&self.calls.create, new).await?;
        Ok(Arc::unwrap_or_clone(order).as_created(created_at))
    }
}
