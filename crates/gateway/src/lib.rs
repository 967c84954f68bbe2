//! The payment sandbox: a gateway that speaks Stripe's wire format, moves no money, and injects faults on
//! demand. It runs as a binary, or in-process in a test:
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
//!
//! # Payments
//!
//! Stripe's `/v1/payment_intents`: create (with `confirm=true` in one step), confirm, cancel, get, and a list
//! of every intent, newest first, by `limit`, `starting_after` and `created`. The guarantee that clients are
//! tested against: under every fault an intent is charged at most once, and the list is what happened.
//!
//! The first result of an `Idempotency-Key` is stored for SANDBOX_KEY_TTL, whatever it is, and replayed with
//! `Idempotent-Replayed: true`. Not stored: 401, 404, 429, invalid parameters, and the 409 of a key whose
//! first request is in flight.
//!
//! # Faults
//!
//! `POST /sandbox/faults` replaces all faults by those of its JSON body; `GET` returns them.
//!
//! | field | default | effect |
//! |---|---|---|
//! | `latency_ms` | 0 | delay of each request |
//! | `hang_rate` | 0 | no response, no effect, the key stays unused |
//! | `drop_before_rate` | 0 | the connection closes; no effect, the key stays unused |
//! | `error_rate` | 0 | 500 and no effect; stored under the key |
//! | `error_after_charge_rate` | 0 | 500, although the request charged the card; stored under the key |
//! | `drop_after_charge_rate` | 0 | the request charged the card, and the connection closes |
//! | `drop_after_rate` | 0 | the request was executed, and the connection closes |
//! | `on` | every operation | restricts the rates to `create`, `confirm`, `cancel`, `get` or `list` |
//! | `times` | no limit | the rates are off after this many hits |
//! | `processing_ms` | 0 | a charge is `processing` for that time |
//! | `rate_limit_per_second` | no limit | 429 with `Retry-After` beyond it |
//! | `unauthorized` | false | 401 for every key |
//! | `forget_keys` | false | forgets the stored results, now and as long as it is true |
//!
//! So `{"drop_after_rate":1,"on":"confirm","times":1}` loses the response of the next confirmation.
//!
//! `GET /sandbox/stats` counts since the start: `requests` to `/v1/payment_intents` and below, `charges`,
//! `rate_limited` requests and `replayed` results. `GET /sandbox/payment_intents` is the list of
//! `/v1/payment_intents` without a key and without faults, for an audit while faults are on.

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
mod results;
mod routes;
mod startup;
mod state;
mod stats;

pub use config::Config;
pub use startup::Gateway;
