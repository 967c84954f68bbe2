//! The page of the control room.

mod access;
mod actions;
mod command;
mod door;
mod live;
mod pages;
mod server;
mod shared;
mod view;

pub use door::Door;

pub(crate) use server::Server;
pub(crate) use shared::{Parts, Shared};

/// Shows on open pages what is known.
pub(crate) fn refresh(shared: &Shared) {
    shared.measure();
    shared.publish(pages::elements(shared));
}
