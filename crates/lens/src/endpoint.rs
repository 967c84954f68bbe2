//! An address that lens listens on, and the two protocols that it can serve there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpServer, web};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// How long requests in progress may take after lens stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Why lens could not start.
#[derive(Debug, thiserror::Error)]
pub enum LensError {
    #[error(
        "{} ({}) is in use: stop the process that listens there, or set {} to another port",
        .0.address, .0.purpose, .0.variable
    )]
    AddressInUse(Binding),
    #[error("cannot listen on {} for {}; HOST and {} set the address", .0.address, .0.purpose, .0.variable)]
    Listen(Binding, #[source] io::Error),
    #[error("cannot start the server thread")]
    Thread(#[source] io::Error),
}

/// An address, what lens serves there, and the environment variable that sets the port.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    address: SocketAddr,
    purpose: &'static str,
    variable: &'static str,
}

/// A bound address.
pub(crate) struct Endpoint {
    socket: TcpListener,
    binding: Binding,
}

impl Endpoint {
    pub(crate) fn bind(
        address: SocketAddr,
        purpose: &'static str,
        variable: &'static str,
    ) -> Result<Self, LensError> {
        let mut binding = Binding {
            address,
            purpose,
            variable,
        };
        let bound = TcpListener::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, socket))
        });
        match bound {
            Ok((address, socket)) => {
                binding.address = address;
                Ok(Self { socket, binding })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(LensError::AddressInUse(binding)),
            Err(error) => Err(LensError::Listen(binding, error)),
        }
    }

    /// A URL for clients on this machine, with the loopback address in place of an unspecified one.
    pub(crate) fn url(&self) -> String {
        let address = self.binding.address;
        let host = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(host, address.port()))
    }

    /// Returns a future that serves `routes` until `stopping`, under the names of this machine and
    /// `host_name`; under any name if that is `None`.
    ///
    /// One worker suffices: requests are small and wait for the locks of the store.
    pub(crate) fn serve_http<F>(
        self,
        routes: F,
        host_name: Option<String>,
        stopping: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + use<F>, LensError>
    where
        F: FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let Self { socket, binding } = self;
        let server = HttpServer::new(move || {
            let host_name = host_name.clone();
            App::new()
                .configure(routes.clone())
                .wrap(from_fn(move |request, next| {
                    local_only(host_name.clone(), request, next)
                }))
        })
        .workers(1)
        .disable_signals()
        .shutdown_timeout(STOP_TIMEOUT.as_secs())
        .listen(socket)
        .map_err(|error| LensError::Listen(binding, error))?
        .run();
        let handle = server.handle();
        Ok(async move {
            let serve = async {
                if let Err(error) = server.await {
                    tracing::error!("{} failed: {error}", binding.purpose);
                }
            };
            let stop = async {
                stopping.cancelled().await;
                handle.stop(true).await;
            };
            tokio::join!(serve, stop);
        })
    }

    pub(crate) async fn serve_grpc(self, routes: Routes, stopping: CancellationToken) {
        let Self { socket, binding } = self;
        let serve = async {
            let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(socket)?);
            let server = tonic::transport::Server::builder().add_routes(routes);
            let served = server.serve_with_incoming_shutdown(incoming, stopping.cancelled());
            served.await.map_err(io::Error::other)
        };
        let deadline = async {
            stopping.cancelled().await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            served = serve => {
                if let Err(error) = served {
                    tracing::error!("{} failed: {error}", binding.purpose);
                }
            }
            () = deadline => tracing::debug!("closed connections that clients did not close"),
        }
    }
}

/// Refuses a request for a name that is not this machine's, as a page of another site could send it.
async fn local_only<B: MessageBody>(
    host_name: Option<String>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let header = request.headers().get(HOST).map(HeaderValue::as_bytes);
    if host_name.is_some_and(|name| !settings::is_local_host(header, &name)) {
        let message = "this name is not one of this machine; use localhost, or set HOST";
        return Err(InternalError::new(message, StatusCode::MISDIRECTED_REQUEST).into());
    }
    next.call(request).await
}
