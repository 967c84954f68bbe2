//! Builds the server, runs it, and ends it: what hangs by an injected fault ends at once, what is being answered is finished.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, JsonConfig, PayloadConfig, ServiceConfig};
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{AcceptedKeys, Config};
use crate::error::StripeError;
use crate::faults::{self, FaultInjector};
use crate::intents;
use crate::ledger::Ledger;
use crate::request_id::add_request_id;

/// A payment is far smaller.
const BODY_LIMIT: usize = 64 << 10;
/// Longer than the worker's client keeps an idle connection, so that it never sends on one that we are closing.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// It shares its machine with everything that is measured.
const THREADS: usize = 2;

/// What the handlers share.
pub(crate) struct Sandbox {
    pub(crate) keys: AcceptedKeys,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: FaultInjector,
}

/// A running payment sandbox.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    stopping: CancellationToken,
    handle: ServerHandle,
    server: JoinHandle<io::Result<()>>,
}

impl Gateway {
    /// Listens, and answers from here on. Call it inside a tokio runtime. An error says what cannot be listened on.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let stopping = CancellationToken::new();
        let listener = config.address.listen()?;
        let address = listener.local_addr()?;
        let server = serve(listener, config, stopping.clone())?;
        tracing::info!(%address, "the payment sandbox listens");
        Ok(Self {
            address,
            stopping,
            handle: server.handle(),
            server: tokio::spawn(server),
        })
    }

    /// Where it answers: `http://127.0.0.1:8090`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs until `stop` is ready, then ends as [`Gateway::stop`] does.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> io::Result<()> {
        tokio::select! {
            ended = &mut self.server => return ended?,
            () = stop => {}
        }
        self.stop().await
    }

    /// Takes no new request, finishes those that are being answered, and returns when all is done or SHUTDOWN_TIMEOUT is over.
    pub async fn stop(self) -> io::Result<()> {
        self.stopping.cancel();
        self.handle.stop(true).await;
        self.server.await?
    }
}

fn serve(listener: TcpListener, config: Config, stopping: CancellationToken) -> io::Result<Server> {
    let sandbox = Data::new(Sandbox {
        keys: config.keys,
        ledger: Arc::new(Ledger::new()),
        faults: FaultInjector::new(stopping),
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&sandbox))
            .configure(routes)
            .wrap(from_fn(add_request_id))
            .wrap(telemetry::http::server::Tracing::new().exclude("/health"))
    })
    .workers(THREADS)
    .keep_alive(KEEP_ALIVE)
    // A client that closes its half has given up: what hangs for it must not hold its key.
    .h1_allow_half_closed(false)
    .shutdown_timeout(config.shutdown_timeout.as_secs().max(1))
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

fn routes(service: &mut ServiceConfig) {
    let refuse = |error: actix_web::error::JsonPayloadError, _: &_| {
        StripeError::invalid(format!("Invalid faults: {error}")).into()
    };
    service
        .app_data(PayloadConfig::new(BODY_LIMIT))
        .app_data(JsonConfig::default().limit(BODY_LIMIT).error_handler(refuse))
        .route("/health", web::get().to(health))
        .route(intents::PATH, web::post().to(intents::create))
        .route(intents::PATH, web::get().to(intents::list))
        .route("/v1/payment_intents/{id}", web::get().to(intents::get))
        .route("/sandbox/faults", web::get().to(faults::show))
        .route("/sandbox/faults", web::post().to(faults::set))
        .default_service(web::to(unknown));
}

async fn health() -> web::Json<serde_json::Value> {
    web::Json(serde_json::json!({ "status": "ok" }))
}

async fn unknown() -> Result<web::Json<()>, StripeError> {
    Err(StripeError::unknown_url())
}
