//! Statements that carry many calls. Those for orders that exist leave out rows that another transaction has
//! locked, and the functions of [`Store`](crate::Store) that use them run the statement for such an order
//! alone.

pub(crate) mod claim;
pub(crate) mod complete;
pub(crate) mod find;
pub(crate) mod insert;
pub(crate) mod insert_once;

use self::claim::ClaimOrders;
use self::complete::CompleteOrders;
use self::find::FindOrders;
use self::insert::InsertOrders;
use self::insert_once::InsertOrdersOnce;
use crate::pg::lane::{Calls, Lanes};

/// The queues of the statements that carry many calls.
#[derive(Clone)]
pub(crate) struct AllCalls {
    pub(crate) create: Calls<InsertOrders>,
    pub(crate) create_once: Calls<InsertOrdersOnce>,
    pub(crate) find: Calls<FindOrders>,
    pub(crate) claim: Calls<ClaimOrders>,
    pub(crate) complete: Calls<CompleteOrders>,
}

impl AllCalls {
    pub(crate) fn start(lanes: &Lanes) -> Self {
        Self {
            create: lanes.start::<InsertOrders>(),
            create_once: lanes.start::<InsertOrdersOnce>(),
            find: lanes.start::<FindOrders>(),
            claim: lanes.start::<ClaimOrders>(),
            complete: lanes.start::<CompleteOrders>(),
        }
    }
}
