//! The HTTP client: reqwest, with a CLIENT span for each call and the trace context in its headers. A retry
//! is a separate call with `http.request.resend_count`. A call outside a trace is measured but makes no span.
//!
//! ```no_run
//! # async fn run() -> Result<(), reqwest::Error> {
//! use throughline_telemetry::http::client::{Call, Client};
//!
//! let client = Client::new(reqwest::Client::new());
//! let parcel = client
//!     .get("https://example.com/parcels/7")
//!     .url_template("/parcels/{id}")
//!     .with(|request| request.bearer_auth("token"))
//!     .send()
//!     .await?;
//!
//! // A request that was built elsewhere, and a retry of it:
//! let request = client.plain().get("https://example.com/parcels/7").build()?;
//! let again = request.try_clone();
//! let mut response = client.execute(request).await?;
//! if let (Some(request), true) = (again, response.status().is_server_error()) {
//!     response = client.execute_with(request, Call::new().resends(1)).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`CallTracing`] says which servers get the trace context. With the feature `reqwest-middleware` it is a
//! middleware of that crate too; a [`Call`] is then an extension of the request:
//!
#![cfg_attr(feature = "reqwest-middleware", doc = "```no_run")]
#![cfg_attr(not(feature = "reqwest-middleware"), doc = "```ignore")]
//! # async fn run() -> reqwest_middleware::Result<()> {
//! use throughline_telemetry::http::client::{Call, CallTracing};
//!
//! let tracing = CallTracing::new().without_propagation_to([".example.org"]);
//! let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(tracing).build();
//! let parcel = client.get("https://example.com/parcels/7");
//! parcel.with_extension(Call::new().url_template("/parcels/{id}")).send().await?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod call;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod template;
mod traced;
mod tracing;

pub use builder::CallBuilder;
pub use call::Call;
pub use traced::Client;
pub use tracing::CallTracing;
