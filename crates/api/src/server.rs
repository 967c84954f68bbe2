//! The HTTP server, built from actix's parts: `actix_web::HttpServer` only takes plain TCP streams, and slow
//! clients are cut off by a [`Socket`] around them.

use std::fmt;
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, Service, ServiceFactory};
use actix_web::rt::net::TcpStream;

use rustix::net::sockopt::{set_socket_send_buffer_size, set_tcp_nodelay};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::config::HttpConfig;
use crate::connection::{Socket, StallTimeout, WRITE_BUFFER};
use crate::seconds;

/// How long the server reads on after a response that closes the connection, so that the client sees the
/// response (RFC 9112, section 9.6).
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The kernel's buffer for what a client does not receive yet, in bytes. Unset, it grows to 4 MB.
const SEND_BUFFER: usize = 64 * 1024;
/// Open files beside connections: PostgreSQL, Redis, telemetry.
const OTHER_FILES: u64 = 256;

/// Starts the server on these listeners; each says whether `app` shall have the pages. A client that closes
/// its side of the connection, even only for sending, counts as gone: its requests are dropped.
pub(crate) fn run<F, I, S, B>(
    app: F,
    listeners: Vec<(TcpListener, bool)>,
    http: &HttpConfig,
    shutdown_timeout: Duration,
) -> io::Result<Server>
where
    F: Fn(bool) -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    raise_file_limit(http.max_connections);
    // Each has at least one connection.
    let workers = http.workers.min(http.max_connections);
    let mut builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(http.max_connections / workers)
        // 0 would end the requests in flight at once.
        .shutdown_timeout(seconds::rounded_up(shutdown_timeout))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let (keep_alive, request_timeout) = (http.keep_alive, http.request_timeout);
    let stall_timeout = StallTimeout::from(http);
    for (listener, pages) in listeners {
        set_options(&listener);
        let (stopping, app) = (stopping.clone(), app.clone());
        let name = if pages { "http with pages" } else { "http" };
        builder = builder.listen(name, listener, move || {
            let stopping = stopping.clone();
            let app = app(pages)
                .into_factory()
                .map_err(|error| error.into().error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(request_timeout)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .h1_allow_half_closed(false)
                .h1_write_buffer_size(WRITE_BUFFER)
                .on_connect_ext(Socket::register)
                .h1(map_config(app, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                ready(Ok((Socket::of(stream, stall_timeout), peer)))
            })
            .and_then(http)
        })?;
    }
    Ok(builder.run())
}

/// Connections inherit them. Without TCP_NODELAY, the last piece of a long response waits until the client
/// has acknowledged the others, which it delays by 40 ms.
fn set_options(listener: &TcpListener) {
    let set =
        set_socket_send_buffer_size(listener, SEND_BUFFER).and_then(|()| set_tcp_nodelay(listener, true));
    if let Err(error) = set {
        tracing::debug!(%error, "cannot set SO_SNDBUF or TCP_NODELAY");
    }
}

/// Each connection is an open file.
fn raise_file_limit(connections: usize) {
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    limit.current = limit
        .maximum
        .map_or(Some(needed), |maximum| Some(needed.min(maximum)));
    let raised = setrlimit(Resource::Nofile, limit).is_ok();
    if !raised || limit.current < Some(needed) {
        tracing::warn!("the limit of open files is below HTTP_MAX_CONNECTIONS: raise it (ulimit -n)");
    }
}
