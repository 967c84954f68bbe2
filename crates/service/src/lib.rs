//! What the services have in common around their work: a [`Program`] with its arguments, exit code and telemetry, the
//! [`Address`] it listens on, and the signal that [ends](Termination) it.
#![warn(missing_docs)]

mod address;
mod program;
mod signal;

pub use address::Address;
pub use program::Program;
pub use signal::Termination;
