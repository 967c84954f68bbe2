//! Starts the server, runs it until a shutdown signal, and drains it.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::App;
use actix_web::dev::ServerHandle;
use actix_web::middleware::{Condition, DefaultHeaders, NormalizePath, TrailingSlash, from_fn};
use actix_web::web::Data;
use anyhow::Context;
use dispatch::Subscriber;
use service::{Address, ShutdownSignal, wait_until_reachable};
use telemetry::http::server::{Inbound, Tracing};

use crate::auth::AuthConfig;
use crate::config::{Config, Console};
use crate::console::Live;
use crate::events::feed;
use crate::local_only::{self, OwnHost};
use crate::rate_limit::{self, RateLimit};
use crate::state::AppState;
use crate::{assets, connection, console, cors, error_body, proxies, request_id, routes, server};

/// How long readiness fails before the listener closes, so that the load balancer can react.
const DRAIN_DELAY: Duration = Duration::from_millis(500);

/// Name of the event.
const AUTH_DISABLED: &str = "auth.disabled";

/// Serves until SIGTERM or SIGINT, then finishes the requests in flight.
pub async fn serve(config: Config, shutdown_signal: ShutdownSignal) -> anyhow::Result<()> {
    let subscriber = Subscriber::new(&config.queue).context("REDIS_URL")?;
    let state = AppState::new(&config)?;
    let rate_limit = Data::new(RateLimit::new(config.http.rate_limit, &state.cache));
    let proxies = Data::new(config.http.trusted_proxies.clone());
    let (address, listeners) = listen(&config)?;
    if matches!(config.auth, AuthConfig::Off) {
        tracing::warn!(
            name: AUTH_DISABLED,
            "authentication is off (AUTH): every caller reads and changes all orders"
        );
    }

    let (http, inbound) = (config.http.clone(), config.inbound);
    let is_local = matches!(config.auth, AuthConfig::Off) && address.ip().is_loopback();
    let live = Live::new();
    let own_host = Data::new(OwnHost(config.address.host.clone()));
    let app = {
        let (state, live) = (state.clone(), live.clone());
        // The last middleware is the first to see a request.
        move |pages| {
            App::new()
                .app_data(Data::new(state.on_this_thread()))
                .app_data(Data::new(live.clone()))
                .app_data(rate_limit.clone())
                .app_data(proxies.clone())
                .wrap(Condition::new(
                    !http.allowed_origins.is_empty(),
                    cors::allow(&http.allowed_origins),
                ))
                .wrap(from_fn(rate_limit::limit))
                .app_data(own_host.clone())
                .wrap(Condition::new(is_local, from_fn(local_only::enforce)))
                .wrap(from_fn(error_body::write))
                .wrap(security_headers())
                .wrap(from_fn(connection::track))
                .wrap(from_fn(request_id::add))
                .wrap(tracing_of(address, inbound))
                .wrap(NormalizePath::new(TrailingSlash::Trim))
                .wrap(Condition::new(!proxies.is_empty(), from_fn(proxies::resolve)))
                .configure(routes::configure)
                .configure(|app| {
                    if pages {
                        assets::configure(app);
                        console::configure(app);
                    }
                })
        }
    };
    let server = server::run(app, listeners, &config.http, config.shutdown_timeout)?;
    let drained = drain_on(shutdown_signal, &state, &live, server.handle());
    let served = async { tokio::join!(server, drained) };
    let (served, ()) = tokio::select! {
        ended = served => ended,
        () = feed(&state.hub, &subscriber, &state.store) => return Ok(()),
        () = console::refresh(&live, &state) => return Ok(()),
        () = report_unreachable_servers(&state) => return Ok(()),
    };
    Ok(served?)
}

/// The address of the api, and all listeners, each with whether it has the pages.
fn listen(config: &Config) -> anyhow::Result<(SocketAddr, Vec<(TcpListener, bool)>)> {
    let listener = config.address.listen()?;
    let address = listener.local_addr()?;
    let mut listeners = vec![(listener, config.console == Console::WithApi)];
    if let Console::Port(port) = config.console {
        let host = config.address.host.clone();
        let console = Address { host, port }.listen().context("CONSOLE_PORT")?;
        tracing::info!("the console is at {}", console.local_addr()?);
        listeners.push((console, true));
    }
    tracing::info!("taking orders at {address}");
    Ok((address, listeners))
}

/// Traces all requests but those for health and files.
fn tracing_of(address: SocketAddr, inbound: Inbound) -> Tracing {
    let tracing = Tracing::new().listening_on(address).inbound(inbound);
    ["/health", "/favicon.ico", "/assets", "/docs", "/api/openapi.json"]
        .into_iter()
        .fold(tracing, Tracing::exclude)
}

/// For every response. A page has its own Content-Security-Policy.
fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "no-referrer"))
        .add((
            "Content-Security-Policy",
            "default-src 'none'; frame-ancestors 'none'",
        ))
}

async fn drain_on(shutdown_signal: ShutdownSignal, state: &AppState, live: &Live, server: ServerHandle) {
    shutdown_signal.received().await;
    tracing::info!("shutting down");
    state.drain();
    live.close();
    tokio::time::sleep(DRAIN_DELAY).await;
    server.stop(true).await;
}

/// Never returns. Requests are served meanwhile, with 503 where a server is needed that is unreachable.
async fn report_unreachable_servers(state: &AppState) {
    tokio::join!(
        wait_until_reachable("PostgreSQL", async || state.store.ping().await),
        wait_until_reachable("Redis", async || state.dispatcher.queue().ping().await),
    );
    std::future::pending::<()>().await;
}
