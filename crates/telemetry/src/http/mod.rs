//! HTTP servers and clients, by the stable semantic conventions.

#[cfg(feature = "reqwest")]
pub mod client;
mod method;
mod redact;
#[cfg(feature = "actix")]
pub mod server;
