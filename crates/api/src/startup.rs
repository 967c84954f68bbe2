//! From settings to a running server, and from a signal to its end.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix_web::App;
use actix_web::middleware::{Condition, DefaultHeaders, NormalizePath, TrailingSlash, from_fn};
use actix_web::web::Data;
use anyhow::Context;
use dispatch::{Dispatcher, Publisher, Subscriber};
use queue::Queue;
use service::{ShutdownSignal, wait_until_reachable};
use settings::Env;
use store::{Store, StoreError};
use telemetry::http::server::Tracing;

use crate::auth::Authenticator;
use crate::cache::Cache;
use crate::complete::complete;
use crate::config::Config;
use crate::events::{Hub, feed};
use crate::rate_limit::RateLimit;
use crate::state::AppState;
use crate::{connection, cors, routes, server};

/// How long the readiness check fails before no more connections are taken, so that whoever routes requests has noticed.
const NOTICE: Duration = Duration::from_millis(500);

/// How long `migrate` waits for PostgreSQL, and how often it tries.
const MIGRATE_PATIENCE: Duration = Duration::from_secs(60);
const MIGRATE_PAUSE: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT; then finishes the requests in flight.
pub async fn serve(config: Config, shutdown_signal: ShutdownSignal) -> anyhow::Result<()> {
    let subscriber = Subscriber::new(&config.queue).context("REDIS_URL")?;
    let queue = Queue::connect_lazy(config.queue)?;
    let state = Data::new(AppState {
        store: Store::new(config.store)?,
        publisher: Publisher::start(&queue),
        hub: Hub::new(),
        cache: Cache::beside(&queue),
        dispatcher: Dispatcher::new(queue),
        rate_limit: config.http.rate_limit.map(RateLimit::new),
        authenticator: Authenticator::new(config.auth)?,
        dispatch_grace: config.dispatch_grace,
        high_value: config.high_value,
        http: config.http.clone(),
        draining: AtomicBool::new(false),
    });
    let listener = config.address.listen()?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "taking orders");

    let (http, inbound) = (config.http.clone(), config.inbound);
    let app = {
        let state = state.clone();
        move || {
            App::new()
                .app_data(state.clone())
                .wrap(Condition::new(
                    !http.allowed_origins.is_empty(),
                    cors::allow(&http.allowed_origins),
                ))
                .wrap(from_fn(complete))
                .wrap(security_headers())
                .wrap(from_fn(connection::watch))
                .wrap(
                    Tracing::new()
                        .listening_on(address)
                        .inbound(inbound)
                        .exclude("/health")
                        .exclude("/favicon.ico")
                        // The pages; "/" is that path alone.
                        .exclude("/")
                        .exclude("/docs")
                        .exclude("/console/console.js")
                        .exclude("/console/page.js")
                        .exclude("/console/page.css")
                        .exclude("/api/openapi.json"),
                )
                .wrap(NormalizePath::new(TrailingSlash::Trim))
                .configure(routes::configure)
        }
    };
    let server = server::run(app, listener, &config.http, config.shutdown_timeout)?;

    let handle = server.handle();
    let stop = async {
        shutdown_signal.received().await;
        tracing::info!("shutting down");
        state.drain();
        tokio::time::sleep(NOTICE).await;
        handle.stop(true).await;
    };
    let served = async { tokio::join!(server, stop) };
    // It takes orders, or says 503, meanwhile.
    let reaching = async {
        tokio::join!(
            wait_until_reachable("PostgreSQL", async || state.store.ping().await),
            wait_until_reachable("Redis", async || state.dispatcher.queue().ping().await),
        );
        std::future::pending::<()>().await;
    };
    let (served, ()) = tokio::select! {
        ended = served => ended,
        () = feed(&state.hub, &subscriber, &state.store) => return Ok(()),
        () = reaching => return Ok(()),
    };
    Ok(served?)
}

/// What no answer goes without. A page brings a policy of its own.
fn security_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "no-referrer"))
        .add((
            "Content-Security-Policy",
            "default-src 'none'; frame-ancestors 'none'",
        ))
}

/// Applies the migrations. Safe to run from many replicas at once. A PostgreSQL that is not there yet is waited for, one that does
/// not let us in is not.
pub async fn migrate(env: &Env) -> anyhow::Result<()> {
    let url = store::database_url(env)?;
    let end = Instant::now() + MIGRATE_PATIENCE;
    let mut waits = false;
    let applied = loop {
        match store::migrate(&url).await {
            Err(StoreError::Unavailable(error)) if Instant::now() < end => {
                if !std::mem::replace(&mut waits, true) {
                    eprintln!("waiting for PostgreSQL, up to {MIGRATE_PATIENCE:?}: {error}");
                }
                tokio::time::sleep(MIGRATE_PAUSE).await;
            }
            migrated => break migrated.context("cannot migrate the database of DATABASE_URL")?,
        }
    };
    if waits {
        eprintln!("PostgreSQL is reached");
    }
    match applied.as_slice() {
        [] => println!("the schema is up to date"),
        versions => println!("applied {}", versions.join(", ")),
    }
    Ok(())
}
