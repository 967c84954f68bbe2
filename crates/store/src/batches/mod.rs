//! Statements that carry many calls. Start reading at `update.rs` for those of orders that exist.

pub(crate) mod claim;
pub(crate) mod complete;
pub(crate) mod end;
pub(crate) mod find;
pub(crate) mod insert;
pub(crate) mod insert_once;
pub(crate) mod record_intent;
pub(crate) mod renew;
pub(crate) mod update;

use self::claim::NewClaim;
use self::complete::Completion;
use self::end::Ending;
use self::find::FindOrders;
use self::insert::InsertOrders;
use self::insert_once::InsertOrdersOnce;
use self::record_intent::IntentRecord;
use self::update::Each;
use crate::pg::lane::{Calls, Lanes};

/// The queues of the statements that carry many calls.
#[derive(Clone)]
pub(crate) struct AllCalls {
    pub(crate) create: Calls<InsertOrders>,
    pub(crate) create_once: Calls<InsertOrdersOnce>,
    pub(crate) find: Calls<FindOrders>,
    pub(crate) claim: Calls<Each<NewClaim>>,
    pub(crate) record_intent: Calls<Each<IntentRecord>>,
    pub(crate) complete: Calls<Each<Completion>>,
    pub(crate) end: Calls<Each<Ending>>,
}

impl AllCalls {
    pub(crate) fn start(lanes: &Lanes) -> Self {
        Self {
            create: lanes.start::<InsertOrders>(),
            create_once: lanes.start::<InsertOrdersOnce>(),
            find: lanes.start::<FindOrders>(),
            claim: lanes.start::<Each<NewClaim>>(),
            record_intent: lanes.start::<Each<IntentRecord>>(),
            complete: lanes.start::<Each<Completion>>(),
            end: lanes.start::<Each<Ending>>(),
        }
    }
}
