//! The whole product as real processes: gateway, lens, api and worker, for end-to-end tests and the local
//! stack.

mod binaries;
mod builder;
mod running;
mod service;
mod service_process;

pub use binaries::{BUILD, Binaries, Profile};
pub use builder::StackBuilder;
pub use running::Stack;
pub use service::{Ports, Service};
