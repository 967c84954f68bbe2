//! One address that lens listens on, and the two protocols that it can serve there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::receive;
use crate::store::TraceStore;

/// How long requests that are being answered may take once lens stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Why lens did not start.
#[derive(Debug, thiserror::Error)]
pub enum LensError {
    /// Another program listens there.
    #[error(
        "{address} is in use, and {purpose} needs it: end what listens there, or set {variable} to another port"
    )]
    AddressInUse {
        /// The address that is in use.
        address: SocketAddr,
        /// What lens wanted it for.
        purpose: &'static str,
        /// The variable that sets the port.
        variable: &'static str,
    },
    /// It cannot listen there for another reason.
    #[error("cannot listen on {address} for {purpose}; HOST and {variable} set it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What lens wanted it for.
        purpose: &'static str,
        /// The variable that sets the port.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread to serve in.
    #[error("cannot start the thread that serves")]
    Thread(#[source] io::Error),
}

/// An address that lens listens on.
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) address: SocketAddr,
    purpose: &'static str,
    variable: &'static str,
}

impl Listener {
    pub(crate) fn bind(
        host: IpAddr,
        port: u16,
        purpose: &'static str,
        variable: &'static str,
    ) -> Result<Self, LensError> {
        let address = SocketAddr::new(host, port);
        let bound = TcpListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        });
        match bound {
            Ok((address, socket)) => Ok(Self {
                socket,
                address,
                purpose,
                variable,
            }),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => Err(LensError::AddressInUse {
                address,
                purpose,
                variable,
            }),
            Err(source) => Err(LensError::Listen {
                address,
                purpose,
                variable,
                source,
            }),
        }
    }

    /// The future serves until `stopping`. One worker: what arrives is small, and the store has one lock anyway.
    pub(crate) fn serve_http(
        self,
        routes: fn(&mut web::ServiceConfig),
        store: TraceStore,
        stopping: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + use<>, LensError> {
        let Self {
            socket,
            address,
            purpose,
            variable,
        } = self;
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(store.clone()))
                .configure(routes)
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT.as_secs())
        .listen(socket)
        .map_err(|source| LensError::Listen {
            address,
            purpose,
            variable,
            source,
        })?
        .run();
        let handle = server.handle();
        Ok(async move {
            let serve = async {
                if let Err(error) = server.await {
                    tracing::error!("{purpose} ended: {error}");
                }
            };
            let stop = async {
                stopping.cancelled().await;
                handle.stop(true).await;
            };
            tokio::join!(serve, stop);
        })
    }

    pub(crate) async fn serve_grpc(self, store: TraceStore, stopping: CancellationToken) {
        let Self { socket, purpose, .. } = self;
        let serve = async {
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(socket)?);
            let server = tonic::transport::Server::builder().add_routes(receive::grpc_routes(&store));
            let served = server
                .serve_with_incoming_shutdown(incoming, stopping.cancelled())
                .await;
            served.map_err(io::Error::other)
        };
        let cut = async {
            stopping.cancelled().await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            served = serve => {
                if let Err(error) = served {
                    tracing::error!("{purpose} ended: {error}");
                }
            }
            () = cut => tracing::debug!("clients that kept their connections were cut off"),
        }
    }
}

/// A URL that can be opened on this machine: `0.0.0.0` is an address to listen on, not one to call.
pub(crate) fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}
