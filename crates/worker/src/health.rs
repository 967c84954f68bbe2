//! The worker's health endpoints. It is ready while it fetches jobs and reconciles, which needs both
//! PostgreSQL, with the schema of this version, and Redis.

use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use domain::ProcessOrder;
use queue::{Queue, WorkerHealth};
use serde_json::json;
use service::health::{SharedCheck, checked, passes, status};
use store::{Schema, Store};
use tokio_util::sync::CancellationToken;

use crate::reconciler::ReconcilerHealth;

#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) store: Store,
    pub(crate) queue: Queue<ProcessOrder>,
    pub(crate) worker: WorkerHealth,
    pub(crate) reconciler: ReconcilerHealth,
    pub(crate) shutdown: CancellationToken,
    /// The schema, if PostgreSQL is available, and whether Redis responds.
    pub(crate) servers: SharedCheck<(Option<Schema>, bool)>,
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
    let (store, queue) = (health.store.clone(), health.queue.clone());
    let check = async move { tokio::join!(checked(store.schema()), passes(queue.ping())) };
    let (schema, redis) = health.servers.latest_or(check).await;
    let checks = [
        ("postgresql", status(schema.is_some())),
        ("redis", status(redis)),
        ("schema", schema.map_or(status(false), Schema::as_str)),
        ("worker", status(health.worker.is_running())),
        ("reconciler", status(health.reconciler.is_working())),
        ("serving", status(!health.shutdown.is_cancelled())),
    ];
    let all = checks.iter().all(|(_, result)| *result == status(true));
    let checks: serde_json::Map<_, _> = checks
        .into_iter()
        .map(|(name, result)| (name.to_owned(), result.into()))
        .collect();
    let body = json!({ "status": status(all), "checks": checks });
    if all {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::OrderId;
    use queue::QueueConfig;
    use serde_json::Value;
    use store::StoreConfig;

    use super::*;

    #[tokio::test]
    async fn on_an_older_schema_the_worker_is_not_ready() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = testkit::database().await.unwrap();
        store::migrate(database.url()).await.unwrap();
        let redis = testkit::redis().await.unwrap();
        let config = QueueConfig::new(redis.url(), OrderId::generate().to_string());
        let health = Health {
            store: Store::new(StoreConfig::new(database.url(), "worker-test")).unwrap(),
            queue: Queue::connect_lazy(config).unwrap(),
            worker: WorkerHealth::default(),
            reconciler: ReconcilerHealth::default(),
            shutdown: CancellationToken::new(),
            servers: SharedCheck::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health/ready", listener.local_addr().unwrap());
        let server = serve(listener, health).unwrap();
        let handle = server.handle();
        let server = tokio::spawn(server);
        let becomes = async |schema: &str| {
            testkit::eventually("the next check", Duration::from_secs(30), async || {
                let response = reqwest::get(&url).await.unwrap();
                assert_eq!(response.status(), 503, "its worker does not run");
                let body: Value = response.json().await.unwrap();
                (body["checks"]["schema"] == schema).then_some(body)
            })
            .await
        };
        becomes("ok").await;
        let forget = "DELETE FROM __diesel_schema_migrations WHERE version = \
                      (SELECT max(version) FROM __diesel_schema_migrations)";
        let sql = database.connect().await.unwrap();
        sql.batch_execute(forget).await.unwrap();
        let outdated = becomes("outdated").await;
        assert_eq!(outdated["checks"]["postgresql"], "ok");
        assert_eq!(outdated["status"], "unavailable");
        handle.stop(false).await;
        server.await.unwrap().unwrap();
    }
}
