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
//! A statement may carry the operations of several callers. Each caller's trace then has a span of its own,
//! from when the caller began to wait, and the statement is measured once:
//!
//! ```
//! # use throughline_telemetry::{db, statement};
//! # statement! { AddParcels: "INSERT" "parcels", action "add_parcels", framework "actix-web"; }
//! # async fn insert(_: Vec<i64>) -> diesel::QueryResult<()> { Ok(()) }
//! # async fn run(server: db::Server) {
//! // each caller, in its own trace:
//! let spans = [server.shared_span::<AddParcels>(), server.shared_span::<AddParcels>()];
//! // whatever sends the statement:
//! let result = server.run_shared::<AddParcels, _>(insert(vec![7, 8])).await;
//! let outcome = db::Outcome::new(spans.len(), result.as_ref().err());
//! // each caller, or the sender for all of them:
//! spans.into_iter().for_each(|span| span.end(outcome));
//! # }
//! ```
//!
//! A statement outside a trace is measured but makes no span: a trace does not begin with a statement.

mod error;
mod pool;
#[cfg(feature = "actix")]
pub(crate) mod repeats;
mod server;
mod statement;

pub use error::{no_response, sqlstate};
pub use pool::{PoolMetrics, PoolState, observe_pool};
pub use server::{Outcome, Server, SharedSpan};
pub use statement::{Commented, Statement, commented};
