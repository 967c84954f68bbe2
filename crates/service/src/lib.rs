//! What the services share around their work: a [`Program`] with arguments, exit code and telemetry, the
//! [`Address`] it listens on, start-up ([`wait_until_reachable`]), periodic work ([`every`]), [`health`]
//! checks and the [`ShutdownSignal`].
#![warn(missing_docs)]

mod address;
mod every;
pub mod health;
mod program;
mod reachable;
mod shutdown;

pub use address::Address;
pub use every::{Next, every};
pub use program::Program;
pub use reachable::wait_until_reachable;
pub use shutdown::ShutdownSignal;
