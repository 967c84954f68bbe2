//! The payment sandbox: a gateway that speaks Stripe's wire format, moves no money, and injects faults on
//! demand.
//!
//! Its guarantee, which its callers are tested against: under every injected fault an idempotency key charges
//! once, and the list of payments is exactly what was charged. It runs as a binary, or in-process in a test:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = throughline_gateway::Gateway::start(throughline_gateway::Config::local()).await?;
//! assert!(gateway.url().starts_with("http://127.0.0.1:"));
//! gateway.stop().await?;
//! # Ok(())
//! # }
//! ```

mod admission;
mod cards;
mod config;
mod error;
mod faults;
mod form;
mod idempotency;
mod intent;
mod ledger;
mod outcome;
mod parameters;
mod rate_limit;
mod request_id;
mod routes;
mod startup;
mod state;
mod stats;

pub use config::Config;
pub use startup::Gateway;
