// The service of docs/guide.md, which quotes it. `tests/it/guide.rs` runs it: it stores parcels, shows their
// state, and hands them to a carrier in a job.
//
// ```sh
// psql postgres://localhost/parcels -c "CREATE TABLE parcels \
//   (id bigserial PRIMARY KEY, recipient text NOT NULL, state text NOT NULL DEFAULT 'packed')"
// DATABASE_URL=postgres://localhost/parcels REDIS_URL=redis://localhost CARRIER_URL=http://localhost:9000 \
//   cargo run -p throughline-telemetry --features full --example guide
// ```

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path};
use actix_web::{App, HttpServer, ResponseError};
use diesel::prelude::*;
use diesel_async::pooled_connection::deadpool::{Pool, PoolError};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use throughline_queue::{Delivery, QueueConfig, QueueError};
use throughline_telemetry::cache::{self, Connection};
use throughline_telemetry::db::{self, commented, traced_pool};
use throughline_telemetry::http::client::Client;
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::job::{self, TracedQueue};
use throughline_telemetry::mask::IBAN;
use throughline_telemetry::opentelemetry::KeyValue;
use throughline_telemetry::opentelemetry::metrics::Counter;
use throughline_telemetry::{builder, log_error, log_warn, metrics, span, statement};

diesel::table! {
    parcels (id) {
        id -> BigInt,
        recipient -> Text,
        state -> Text,
    }
}

statement! {
    /// The state of one parcel.
    ShowParcel: "SELECT" "parcels", action "show_parcel", framework "actix-web";
}

static DELIVERED: LazyLock<Counter<u64>> =
    LazyLock::new(|| metrics::counter("parcels.delivered", "{parcel}", "Parcels handed to a carrier."));

/// A statement that takes longer is marked as slow.
const SLOW: Duration = Duration::from_millis(100);

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = builder("parcels", env!("CARGO_PKG_VERSION"))
        .mask(&[IBAN])
        .process_metrics()
        .init()?;
    let served = serve().await;
    telemetry.shutdown(Duration::from_secs(5)).await;
    served
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let shop = Shop::connect().await?;
    let (jobs, carrying) = (shop.jobs.clone(), shop.clone());
    let app = move || {
        App::new()
            .app_data(Data::new(shop.clone()))
            .route("/health", web::get().to(async || "ok"))
            .route("/parcels", web::post().to(add))
            .route("/parcels/{id}", web::get().to(show))
            .wrap(Tracing::new().exclude("/health").log_errors()) // last of all wraps
    };
    let port = env::var("PORT").unwrap_or("8080".to_owned()).parse()?;
    let server = HttpServer::new(app).h1_allow_half_closed(false);
    let server = server.bind(("0.0.0.0", port))?.run(); // until SIGTERM
    jobs.work_while(server, move |job| deliver(carrying.clone(), job))
        .await??;
    Ok(())
}

/// What the handlers and the jobs use.
#[derive(Clone)]
struct Shop {
    database: Pool<AsyncPgConnection>,
    server: db::Server,
    cache: Connection<MultiplexedConnection>,
    jobs: TracedQueue<i64>,
    carrier: Client,
    carrier_url: String,
}

impl Shop {
    async fn connect() -> Result<Self, Box<dyn Error>> {
        let (database, redis) = (env::var("DATABASE_URL")?, env::var("REDIS_URL")?);
        let plain = redis::Client::open(redis.as_str())?
            .get_multiplexed_async_connection()
            .await?;
        Ok(Self {
            server: db::Server::from_url(&database, SLOW),
            database: traced_pool(&database, SLOW)?,
            cache: Connection::new(plain, cache::Server::new("localhost", 6379, 0))
                .key_patterns(["parcel:*"]),
            jobs: TracedQueue::connect(QueueConfig::new(redis, "deliveries")).await?,
            carrier: Client::new(reqwest::Client::new()),
            carrier_url: env::var("CARRIER_URL")?,
        })
    }
}

#[derive(Deserialize)]
struct NewParcel {
    recipient: String,
}

async fn add(shop: Data<Shop>, parcel: Json<NewParcel>) -> Result<Json<i64>, ShopError> {
    let id = shop.store(&parcel.recipient).await?;
    shop.send(id).await?;
    tracing::info!(parcel.id = id, "a parcel was stored for {}", parcel.recipient);
    Ok(Json(id))
}

async fn show(shop: Data<Shop>, id: Path<i64>) -> Result<String, ShopError> {
    shop.state(*id).await
}

impl Shop {
    async fn store(&self, recipient: &str) -> Result<i64, ShopError> {
        let mut connection = self.database.get().await?;
        let insert = diesel::insert_into(parcels::table).values(parcels::recipient.eq(recipient));
        let insert = insert.returning(parcels::id);
        Ok(insert.get_result(&mut connection).await?)
    }

    async fn read(&self, id: i64) -> Result<String, ShopError> {
        let mut connection = self.database.get().await?;
        let query = commented::<ShowParcel, _>(parcels::table.find(id).select(parcels::state));
        let reading = self
            .server
            .run::<ShowParcel, _>(query.get_result(&mut connection));
        reading.await.optional()?.ok_or(ShopError::Unknown)
    }

    /// The state of a parcel, as it was at most a minute ago. A cache that fails is a miss.
    async fn state(&self, id: i64) -> Result<String, ShopError> {
        let key = format!("parcel:{id}");
        let mut cache = self.cache.clone();
        if let Ok(Some(state)) = cache.get::<_, Option<String>>(&key).await {
            return Ok(state);
        }
        let state = self.read(id).await?;
        if let Err(error) = cache.set_ex::<_, _, ()>(&key, &state, 60).await {
            log_warn!(error, parcel.id = id, "the state was not cached");
        }
        Ok(state)
    }
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error("there is no such parcel")]
    Unknown,
    #[error("the statement failed: {0}")]
    Statement(#[from] diesel::result::Error),
    #[error("no connection to PostgreSQL: {0}")]
    Database(#[from] PoolError),
    #[error("the parcel was not sent: {0}")]
    Queue(#[from] QueueError),
    #[error("the carrier did not take it: {0}")]
    Carrier(#[from] reqwest::Error),
}

impl ResponseError for ShopError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Shop {
    async fn send(&self, parcel: i64) -> Result<(), ShopError> {
        self.jobs.enqueue(&format!("parcel-{parcel}"), parcel).await?;
        Ok(())
    }
}

async fn deliver(shop: Shop, delivery: Delivery<i64>) -> Result<(), Infallible> {
    let parcel = delivery.job;
    span::set("parcel.id", parcel);
    if let Err(error) = shop.hand_over(parcel).await {
        log_error!(error, parcel.id = parcel, "the parcel was not handed over");
        job::fail("not_handed_over");
    }
    Ok(())
}

impl Shop {
    #[tracing::instrument(skip_all)]
    async fn hand_over(&self, parcel: i64) -> Result<(), ShopError> {
        let call = self
            .carrier
            .post(format!("{}/deliveries", self.carrier_url))
            .url_template("/deliveries")
            .with(|request| request.json(&parcel).timeout(Duration::from_secs(5)));
        call.send().await?.error_for_status()?;
        let mut connection = self.database.get().await?;
        let update = diesel::update(parcels::table.find(parcel));
        let update = update.set(parcels::state.eq("delivered"));
        update.execute(&mut connection).await?;
        DELIVERED.add(1, &[KeyValue::new("parcel.carrier", "snail")]);
        Ok(())
    }
}
