//! The worker's health endpoints. It is ready while it fetches jobs and reconciles, which needs both
//! PostgreSQL and Redis.

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use domain::ProcessOrder;
use queue::{Queue, WorkerHealth};
use serde_json::json;
use service::health::{passes, status};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::reconciler::ReconcilerHealth;

#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) store: Store,
    pub(crate) queue: Queue<ProcessOrder>,
    pub(crate) worker: WorkerHealth,
    pub(crate) reconciler: ReconcilerHealth,
    pub(crate) shutdown: CancellationToken,
}

/// Serves `/health` and `/health/ready`.
pub(crate) fn serve(listener: TcpListener, health: Health) -> std::io::Result<Server> {
    let health = Data::new(health);
    let app = move || {
        App::new()
            .app_data(health.clone())
            .route("/health", web::get().to(live))
            .route("/health/ready", web::get().to(ready))
    };
    Ok(HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run())
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

async fn ready(health: Data<Health>) -> HttpResponse {
    let (postgresql, redis) = tokio::join!(passes(health.store.ping()), passes(health.queue.ping()));
    let checks = [
        ("postgresql", postgresql),
        ("redis", redis),
        ("worker", health.worker.is_running()),
        ("reconciler", health.reconciler.is_working()),
        ("serving", !health.shutdown.is_cancelled()),
    ];
    let all = checks.iter().all(|(_, passed)| *passed);
    let checks: serde_json::Map<_, _> = checks
        .into_iter()
        .map(|(name, passed)| (name.to_owned(), status(passed).into()))
        .collect();
    let body = json!({ "status": status(all), "checks": checks });
    if all {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}
