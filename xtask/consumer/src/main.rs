//! A request that runs a statement and sends a job, whose worker calls another service: one trace.

use std::env::var;
use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::{App, HttpServer, post, web::Data};
use diesel_async::{AsyncPgConnection, RunQueryDsl, pooled_connection::deadpool::Pool};
use throughline_queue::{Delivery, QueueConfig};
use throughline_telemetry::http::{client::Client, server::Tracing};
use throughline_telemetry::{db::traced_pool, init, job::TracedQueue};

static CARRIER: LazyLock<Client> = LazyLock::new(Client::default);
type Shop = Data<(Pool<AsyncPgConnection>, TracedQueue<u64>)>;

#[post("/parcels")]
async fn add(shop: Shop) -> Result<&'static str, Box<dyn Error>> {
    let insert = diesel::sql_query("INSERT INTO parcels DEFAULT VALUES");
    insert.execute(&mut shop.0.get().await?).await?;
    shop.1.enqueue("parcel-7", 7).await?;
    Ok("added")
}

async fn deliver(_parcel: Delivery<u64>) -> Result<(), Box<dyn Error>> {
    let call = CARRIER.get(var("CARRIER_URL")?);
    call.send().await?.error_for_status()?;
    Ok(())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let _telemetry = init("shop", env!("CARGO_PKG_VERSION"))?;
    let pool = traced_pool(&var("DATABASE_URL")?, Duration::from_secs(1))?;
    let jobs = TracedQueue::connect(QueueConfig::new(var("REDIS_URL")?, "parcels")).await?;
    let app = Data::new((pool, jobs.clone()));
    let app = move || App::new().app_data(app.clone()).service(add).wrap(Tracing::new());
    let server = HttpServer::new(app).bind(var("ADDRESS")?)?.run();
    Ok(jobs.work_while(server, deliver).await??)
}
