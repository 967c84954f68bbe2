//! Switches a mechanism off, to prove that chaos finds the damage. No build of the product has this module.
//! SABOTAGE is `fencing` (in `store`), `idempotency` (a key per attempt, and no intent is recorded),
//! `reconciler`, `record_intent`, `breaker`, `cancel` (before an order fails), `waiting` (a wait counts as an
//! attempt) or `attempts` (each fails its order).

use domain::Order;

/// Whether SABOTAGE names this mechanism.
pub(crate) fn is_off(mechanism: &str) -> bool {
    std::env::var("SABOTAGE").as_deref() == Ok(mechanism)
}

/// One key per attempt instead of one per order: each attempt is another charge.
pub(crate) fn idempotency_key(order: &Order, key: String) -> String {
    if is_off("idempotency") {
        return format!("{}:{}", order.id, order.attempt);
    }
    key
}
