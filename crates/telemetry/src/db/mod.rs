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
//!
//! # Existing statements
//!
//! Code that describes nothing has its spans too: after [`trace_connections`], each connection of diesel and
//! diesel-async makes them itself, by the operation and the table in the statement's text. Literals in the
//! text are replaced, and binds are never in it. [`Server::run`] refines a statement: it has one span.
//!
//! ```
//! # fn main() -> diesel::QueryResult<()> {
//! throughline_telemetry::db::trace_connections(std::time::Duration::from_millis(100))
//! # }
//! ```
//!
//! `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints are statements with spans of their own, and so is a new
//! connection (`CONNECT shop`, and `db.client.connection.create_time`). `db.query.prepared` marks the run
//! that prepared a statement. What diesel does not report:
//!
//! - A statement whose future is dropped has a span that ends as cancelled where it started, once the
//!   connection is used for another trace or a transaction, or is closed. It is not measured. If the future
//!   was made before [`Server::run`], that is a second span beside the one of `run`.
//! - Of a streamed result, the span ends with its first response (PostgreSQL), or with the last row.
//! - Work on another thread, such as in `web::block` or in diesel-async's SQLite connection, has no trace of
//!   its caller, unless [`carried`](crate::span::carried) takes it there.

mod address;
#[cfg(feature = "diesel-async")]
mod async_pool;
mod connection;
mod description;
mod error;
mod pool;
mod refined;
#[cfg(feature = "actix")]
pub(crate) mod repeats;
mod server;
mod sql;
mod statement;

#[cfg(feature = "diesel-async")]
pub use async_pool::traced_pool;
pub use connection::{ConnectionTracing, trace_connections};
pub use error::{no_response, sqlstate};
pub use pool::{PoolMetrics, PoolState, observe_pool};
pub use server::{Outcome, Server, SharedSpan};
pub use statement::{Commented, Statement, commented};
