//! actix's server on sockets of our own: `actix_web::HttpServer` does the same, but takes plain TCP alone.

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
use crate::connection::{Patience, Socket};

/// How long a connection is read on after an answer that ended it, so that the client sees the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// Starts the server. A client that closes its side, even for sending alone, is gone: whatever runs for it is dropped.
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
        .shutdown_timeout(whole_seconds(shutdown_timeout))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let (keep_alive, request_timeout) = (http.keep_alive, http.request_timeout);
    let patience = Patience::of(http);
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
            .client_disconnect_timeout(LINGER)
            .h1_allow_half_closed(false)
            .on_connect_ext(Socket::register)
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok((Socket::new(stream, patience), peer)))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// actix takes whole seconds, and 0 of them end a request at once.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_second_to_shut_down_is_not_none() {
        assert_eq!(whole_seconds(Duration::from_millis(500)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(30)), 30);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }
}
