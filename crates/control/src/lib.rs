//! The control room of the stack that `cargo xtask up` runs: a page on loopback that shows its processes,
//! stops, kills and pauses them, injects faults, sends orders, and counts beside all of that what PostgreSQL
//! and the gateway have of the orders.
//!
//! The process that supervises the stack runs it, because it owns the processes; no program of the product
//! contains it. Who has the address with the token of the run may do everything: see [`Door`].
#![warn(missing_docs)]

mod audit;
mod fault;
mod faults;
mod journal;
mod load;
mod member;
mod order_state;
mod part;
mod room;
mod servers;
mod system;
mod tail;
mod usage;
mod walk;
mod web;

pub use room::{Options, Room};
pub use system::{Servers, System};
pub use web::Door;
