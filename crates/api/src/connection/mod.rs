//! Bounds the time and the memory of a connection. actix limits the first request head and the idle time; it
//! does not limit a later head that never ends, the rest of a rejected body, or a response that the client
//! does not read. Each of these may take a [`StallTimeout`], and a response has a least rate. Bodies are
//! handed on in small chunks; long heads and pipelined requests share a budget. A reverse proxy can do the
//! same, but the service must not depend on one.

mod ahead;
mod progress;
mod socket;
mod track;

pub(crate) use socket::{Socket, StallTimeout, WRITE_BUFFER};
pub(crate) use track::track;
