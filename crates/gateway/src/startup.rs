//! Starts the server and stops it. At shutdown a request that hangs by an injected fault fails at once; every
//! other request in flight is completed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::web::Data;
use actix_web::{App, Error, HttpServer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::faults::FaultInjector;
use crate::ledger::Ledger;
use crate::request_id::add_request_id;
use crate::results::Results;
use crate::routes;
use crate::state::Sandbox;
use crate::stats::Stats;

/// Longer than the worker's HTTP client keeps an idle connection, so that the client never sends on a
/// connection that the sandbox is closing.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The sandbox shares its machine with the services that are measured against it.
const THREADS: usize = 2;

/// A running payment sandbox.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    stopping: CancellationToken,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// Listens and serves. Call it inside a tokio runtime. An error names the address that is unavailable.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let stopping = CancellationToken::new();
        let listener = config.address.listen()?;
        let address = listener.local_addr()?;
        let server = build_server(listener, config, stopping.clone())?;
        tracing::info!("the payment sandbox listens on {address}");
        Ok(Self {
            address,
            stopping,
            handle: server.handle(),
            server: tokio::spawn(server),
        })
    }

    /// The base URL, such as `http://127.0.0.1:8090`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs until `stop` is ready, then stops as [`Gateway::stop`] does.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> io::Result<()> {
        tokio::select! {
            ended = &mut self.server => return ended?,
            () = stop => {}
        }
        self.stop().await
    }

    /// Accepts no new request and completes those in flight, for SHUTDOWN_TIMEOUT at most.
    pub async fn stop(self) -> io::Result<()> {
        self.stopping.cancel();
        self.handle.stop(true).await;
        self.server.await?
    }
}

fn build_server(listener: TcpListener, config: Config, stopping: CancellationToken) -> io::Result<Server> {
    let sandbox = Data::new(Sandbox {
        keys: config.keys,
        ledger: Ledger::new(),
        results: Arc::new(Results::new(config.key_ttl)),
        stats: Stats::default(),
        faults: FaultInjector::new(stopping),
    });
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let host = Data::new(config.address.host);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&sandbox))
            .app_data(Data::clone(&host))
            .configure(routes::configure)
            .wrap(Condition::new(is_loopback, from_fn(local_only)))
            .wrap(from_fn(add_request_id))
            .wrap(
                telemetry::http::server::Tracing::new()
                    .exclude("/health")
                    .exclude("/sandbox/payment_intents"),
            )
    })
    .workers(THREADS)
    .keep_alive(KEEP_ALIVE)
    // A client that closes its half has given up; its hanging request must release the idempotency key.
    .h1_allow_half_closed(false)
    .shutdown_timeout(config.shutdown_timeout.as_secs().max(1))
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

/// Refuses a request for a name that is not this machine's, as a page of another site could send it.
async fn local_only<B: MessageBody>(
    host: Data<String>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let header = request.headers().get(HOST).map(HeaderValue::as_bytes);
    if settings::is_local_host(header, &host) {
        return next.call(request).await;
    }
    let message = "this name is not one of this machine; use localhost, or set HOST";
    Err(InternalError::new(message, StatusCode::MISDIRECTED_REQUEST).into())
}
