//! A running lens: three listeners, one store, and a thread of its own.
//!
//! The thread keeps lens apart from the caller's runtime: a test may block on its exporter's flush while lens answers it,
//! and a lens that is dropped with its test still ends.

use std::io;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::LensConfig;
use crate::listener::{LensError, Listener, url};
use crate::receive;
use crate::store::TraceStore;
use crate::web::routes as web_routes;

/// A running lens. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Lens {
    store: TraceStore,
    page: SocketAddr,
    otlp_grpc: SocketAddr,
    otlp_http: SocketAddr,
    thread: JoinHandle<()>,
    running: DropGuard,
}

impl Lens {
    /// Listens, and serves in the background.
    ///
    /// # Errors
    /// If it cannot listen on one of the three addresses, or the system gives it no thread.
    pub async fn start(config: LensConfig) -> Result<Self, LensError> {
        let page = Listener::bind(config.host, config.http_port, "the page", "PORT")?;
        let grpc = Listener::bind(
            config.host,
            config.otlp_grpc_port,
            "OTLP over gRPC",
            "LENS_GRPC_PORT",
        )?;
        let http = Listener::bind(
            config.host,
            config.otlp_http_port,
            "OTLP over HTTP",
            "LENS_HTTP_PORT",
        )?;
        let (page_address, grpc_address, http_address) = (page.address, grpc.address, http.address);

        let store = TraceStore::new(config.max_bytes);
        let stopping = CancellationToken::new();
        let page = page.serve_http(web_routes, store.clone(), stopping.clone())?;
        let grpc = grpc.serve_grpc(store.clone(), stopping.clone());
        let http = http.serve_http(receive::http_routes, store.clone(), stopping.clone())?;
        let thread = in_a_thread(async { tokio::join!(page, grpc, http) })
            .await
            .map_err(LensError::Thread)?;
        Ok(Self {
            store,
            page: page_address,
            otlp_grpc: grpc_address,
            otlp_http: http_address,
            thread,
            running: stopping.drop_guard(),
        })
    }

    /// Where the page is: `http://127.0.0.1:8100`.
    #[must_use]
    pub fn page_url(&self) -> String {
        url(self.page)
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is for gRPC.
    #[must_use]
    pub fn otlp_grpc_url(&self) -> String {
        url(self.otlp_grpc)
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is for `http/protobuf` and `http/json`.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        url(self.otlp_http)
    }

    /// What was received.
    #[must_use]
    pub fn store(&self) -> &TraceStore {
        &self.store
    }

    /// Stops listening, lets the requests under way end, and returns when all is over, after a second or two at most.
    pub async fn stop(self) {
        let Self { thread, running, .. } = self;
        drop(running);
        if !matches!(tokio::task::spawn_blocking(|| thread.join()).await, Ok(Ok(()))) {
            tracing::error!("the thread that serves panicked");
        }
    }
}

/// Runs the servers in a thread with a runtime of its own.
async fn in_a_thread(servers: impl Future + Send + 'static) -> io::Result<JoinHandle<()>> {
    let (started, has_started) = oneshot::channel();
    let serve = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = started.send(Ok(()));
            runtime.block_on(servers);
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    };
    let thread = thread::Builder::new().name("lens".to_owned()).spawn(serve)?;
    has_started.await.map_err(io::Error::other)??;
    Ok(thread)
}
