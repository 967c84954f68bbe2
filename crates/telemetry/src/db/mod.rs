//! Statements of diesel and diesel-async: a CLIENT span and a duration for each, with the statement's static
//! text and never a bind value. A type describes the statement; its SQL comment is part of that type, so it
//! stays a prepared statement.
//!
//! ```
//! use diesel::prelude::*;
//! use throughline_telemetry::{db, statement};
//!
//! diesel::table! { parcels (id) { id -> BigInt, weight -> BigInt, } }
//!
//! statement! {
//!     /// The parcels that still fit into a van.
//!     LightParcels: "SELECT" "parcels", action "load_van", framework "apalis";
//! }
//!
//! let light = parcels::table.filter(parcels::weight.lt(10)).select(parcels::id);
//! let query = db::commented::<LightParcels, _>(light);
//! assert!(diesel::debug_query::<diesel::pg::Pg, _>(&query).to_string().contains("action='load_van'"));
//! // then: server.run::<LightParcels, _>(query.load::<i64>(&mut connection)).await
//! ```
//!
//! A statement outside a trace is measured but makes no span: a trace does not begin with a statement.

mod error;
mod pool;
#[cfg(feature = "actix")]
pub(crate) mod repeats;
mod server;
mod statement;

pub use error::no_response;
pub use pool::{PoolMetrics, PoolState, observe_pool};
pub use server::Server;
pub use statement::{Commented, Statement, commented};
