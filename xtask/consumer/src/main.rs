//! A request that runs a statement and sends a job, and a worker whose job calls the service: one trace.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use throughline_queue::{Delivery, Queue, QueueConfig, WorkOptions};
use throughline_telemetry::db::Server;
use throughline_telemetry::http::{client::Client, server::Tracing};
use throughline_telemetry::job::{Consumer, Producer, Received};
use tower::Layer;

throughline_telemetry::statement! { Add: "INSERT" "parcels", action "add", framework "actix-web"; }

type Trace = HashMap<String, String>;
type Shop = web::Data<(tokio::sync::Mutex<AsyncPgConnection>, Queue<Trace>)>;

async fn add(shop: Shop) -> Result<&'static str, Box<dyn Error>> {
    let database = Server::new("localhost", 5432, "shop", Duration::from_secs(1));
    let insert = diesel::sql_query("INSERT INTO parcels DEFAULT VALUES");
    database.run::<Add, _>(insert.execute(&mut *shop.0.lock().await)).await?;
    let producer = Producer::new("parcels", "localhost", 6379);
    producer.send("7", |trace| async move { shop.1.enqueue("7", &trace).await }, |_| "redis").await?;
    Ok("added")
}

async fn deliver(_: Delivery<Trace>) -> Result<(), Infallible> {
    let (http, url) = (reqwest::Client::new(), std::env::var("CALLED_URL").unwrap());
    // Borrowed: diesel-async's trait has a method `execute` for values of all types.
    let client = &Client::new(http.clone());
    Ok(drop(client.execute(http.get(url).build().unwrap()).await.unwrap()))
}

fn received(job: &Delivery<Trace>) -> Received<'_> {
    Received {
        message_id: &job.id,
        sent_in: &job.job,
        previous_attempt: None,
        attempt: 1,
        waited: job.waited,
        client_id: &job.worker,
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = throughline_telemetry::init("shop", env!("CARGO_PKG_VERSION"))?;
    let database = AsyncPgConnection::establish(&std::env::var("DATABASE_URL")?).await?;
    let queue = Queue::connect(QueueConfig::new(std::env::var("REDIS_URL")?, "parcels")).await?;
    let shop = Shop::new((database.into(), queue.clone()));
    let worker = Consumer::new("parcels").layer(received).layer(tower::service_fn(deliver));
    let server = HttpServer::new(move || {
        App::new().app_data(shop.clone()).route("/parcels", web::post().to(add)).wrap(Tracing::new())
    });
    let stop = Default::default();
    let server = server.workers(1).bind(("127.0.0.1", std::env::var("PORT")?.parse()?))?.run();
    tokio::select! {
        served = server => served?,
        worked = queue.work(WorkOptions::default(), worker, stop) => worked?,
    }
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
