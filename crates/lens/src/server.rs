//! A running lens: three endpoints and one store, served by one thread with its own runtime.
//!
//! The thread separates lens from the caller's runtime: a test may block on the flush of its exporter while
//! lens responds, and a lens that is dropped with its test still stops.

use std::fs::File;
use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::thread::{self, JoinHandle};

use actix_web::web::{Data, ServiceConfig};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::LensConfig;
use crate::endpoint::{Endpoint, LensError};
use crate::receive::{self, Intake};
use crate::saved::{self, Loaded};
use crate::storage::TelemetryStore;
use crate::web::{self, SystemUrl};

/// A running lens. It stops when dropped.
#[derive(Debug)]
pub struct Lens {
    store: TelemetryStore,
    intake: Intake,
    page_url: String,
    otlp_grpc_url: String,
    otlp_http_url: String,
    thread: JoinHandle<()>,
    running: DropGuard,
}

impl Lens {
    /// Binds the three addresses and serves them in the background.
    ///
    /// # Errors
    /// If an address cannot be bound or the thread cannot be started.
    pub async fn start(config: LensConfig) -> Result<Self, LensError> {
        let address = |port| SocketAddr::new(config.host, port);
        let page = Endpoint::bind(address(config.http_port), "the page", "PORT")?;
        let grpc = Endpoint::bind(address(config.otlp_grpc_port), "OTLP/gRPC", "LENS_GRPC_PORT")?;
        let http = Endpoint::bind(address(config.otlp_http_port), "OTLP/HTTP", "LENS_HTTP_PORT")?;
        let (page_url, otlp_grpc_url, otlp_http_url) = (page.url(), grpc.url(), http.url());

        let store = TelemetryStore::new(config.max_bytes, &config.key_attributes);
        let stopping = CancellationToken::new();
        let intake = Intake::new(store.clone(), config.max_bytes);
        let to_load = intake.clone();
        // A receiver that other machines reach has a name that lens does not know.
        let names = config.host.is_loopback().then(|| config.host_name.clone());
        let pages = with_data(
            SystemUrl(config.system_url),
            with_data(store.clone(), web::routes),
        );
        let page = page.serve_http(pages, Some(config.host_name), stopping.clone())?;
        let grpc = grpc.serve_grpc(receive::grpc_routes(&intake), stopping.clone());
        let http = http.serve_http(with_data(intake, receive::http_routes), names, stopping.clone())?;
        let thread = spawn(async { tokio::join!(page, grpc, http) })
            .await
            .map_err(LensError::Thread)?;
        Ok(Self {
            store,
            intake: to_load,
            page_url,
            otlp_grpc_url,
            otlp_http_url,
            thread,
            running: stopping.drop_guard(),
        })
    }

    /// The URL of the page: `http://127.0.0.1:8100`.
    #[must_use]
    pub fn page_url(&self) -> String {
        self.page_url.clone()
    }

    /// `OTEL_EXPORTER_OTLP_ENDPOINT` for gRPC.
    #[must_use]
    pub fn otlp_grpc_url(&self) -> String {
        self.otlp_grpc_url.clone()
    }

    /// `OTEL_EXPORTER_OTLP_ENDPOINT` for `http/protobuf` and `http/json`.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        self.otlp_http_url.clone()
    }

    /// The received telemetry.
    #[must_use]
    pub fn store(&self) -> &TelemetryStore {
        &self.store
    }

    /// Stores the telemetry of a file of OTLP JSON, one object a line, as `GET /api/export` and the
    /// collector's file exporter write it. Blocks until all is read.
    ///
    /// # Errors
    /// If the file cannot be read. Lines that are not OTLP are counted, not errors.
    pub fn load(&self, path: &Path) -> io::Result<Loaded> {
        saved::load(&self.intake, BufReader::new(File::open(path)?))
    }

    /// Stops listening and waits for the requests in progress, one or two seconds at most.
    pub async fn stop(self) {
        let Self { thread, running, .. } = self;
        drop(running);
        if !matches!(tokio::task::spawn_blocking(|| thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the server thread panicked");
        }
    }
}

/// `routes` with `data` of the application.
fn with_data<T: Send + Sync + 'static>(
    data: T,
    routes: impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static,
) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
    let data = Data::new(data);
    move |service| {
        service.app_data(data);
        routes(service);
    }
}

/// Runs the servers in a new thread with a single-threaded runtime.
async fn spawn(servers: impl Future + Send + 'static) -> io::Result<JoinHandle<()>> {
    let (report, started) = oneshot::channel();
    let serve = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = report.send(Ok(()));
            runtime.block_on(servers);
        }
        Err(error) => {
            let _ = report.send(Err(error));
        }
    };
    let thread = thread::Builder::new().name("lens".to_owned()).spawn(serve)?;
    started.await.map_err(io::Error::other)??;
    Ok(thread)
}
