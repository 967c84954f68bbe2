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

use crate::config::HttpConfig;
use crate::connection::{Socket, StallTimeout};
use crate::seconds;

/// How long the server reads on after a response that closes the connection, so that the client sees the
/// response (RFC 9112, section 9.6).
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Starts the server. A client that closes its side of the connection, even only for sending, counts as gone:
/// its requests are dropped.
pub(crate) fn run<F, I, S, B>(
    app: F,
    listener: TcpListener,
    http: &HttpConfig,
    shutdown_timeout: Duration,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let builder = Server::build()
        .workers(http.workers)
        // 0 would end the requests in flight at once.
        .shutdown_timeout(seconds::rounded_up(shutdown_timeout))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let (keep_alive, request_timeout) = (http.keep_alive, http.request_timeout);
    let stall_timeout = StallTimeout::from(http);
    let builder = builder.listen("http", listener, move || {
        let stopping = stopping.clone();
        let app = app()
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
            .on_connect_ext(Socket::register)
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok((Socket::new(stream, stall_timeout), peer)))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}
