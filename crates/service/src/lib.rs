//! What the services have in common around their work: a [`Program`] with its arguments, exit code and telemetry, the
//! [`Address`] it listens on, the servers that it waits to [`reach`], and the signal that [ends](Termination) it.
#![warn(missing_docs)]

mod address;
mod program;
mod reach;
mod signal;

pub use address::Address;
pub use program::Program;
pub use reach::reach;
pub use signal::Termination;
