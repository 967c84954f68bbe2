// The service of docs/guide.md, which quotes it. `tests/it/guide.rs` runs it: it stores parcels, shows their
// state, and hands them to a carrier in a job.
//
// ```sh
// psql postgres://localhost/parcels -c "CREATE TABLE parcels \
//   (id bigserial PRIMARY KEY, recipient text NOT NULL, state text NOT NULL DEFAULT 'packed')"
// DATABASE_URL=postgres://localhost/parcels REDIS_URL=redis://localhost CARRIER_URL=http://localhost:9000 \
//   cargo run -p throughline-telemetry --features full --example guide
// ```

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path};
use actix_web::{App, HttpServer, ResponseError};
use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Pool, PoolError};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use throughline_queue::{Delivery, Queue, QueueConfig, QueueError, WorkOptions};
use throughline_telemetry::cache::{self, Connection};
use throughline_telemetry::db::{self, PoolState, commented, observe_pool, trace_connections};
use throughline_telemetry::http::client::Client;
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::job::{self, Consumer, Producer, Received};
use throughline_telemetry::mask::IBAN;
use throughline_telemetry::opentelemetry::KeyValue;
use throughline_telemetry::opentelemetry::metrics::Counter;
use throughline_telemetry::{builder, log_error, log_warn, metrics, span, statement};
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

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
    let stop = CancellationToken::new();
    let jobs = shop.jobs.clone();
    let working = jobs.work(WorkOptions::default(), deliveries(shop.clone()), stop.clone());
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
    let server = server.bind(("0.0.0.0", port))?.run();
    let serving = async {
        let served = server.await; // until SIGTERM
        stop.cancel();
        served
    };
    let (served, worked) = tokio::join!(serving, working);
    served?;
    worked?;
    Ok(())
}

/// What the handlers and the jobs use.
#[derive(Clone)]
struct Shop {
    database: Pool<AsyncPgConnection>,
    server: db::Server,
    cache: Connection<MultiplexedConnection>,
    jobs: Queue<Deliver>,
    producer: Producer,
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
            database: pool(&database)?,
            cache: Connection::new(plain, cache::Server::new("localhost", 6379, 0))
                .key_patterns(["parcel:*"]),
            jobs: Queue::connect(QueueConfig::new(redis, "deliveries")).await?,
            producer: Producer::new("deliveries", "localhost", 6379),
            carrier: Client::new(reqwest::Client::new()),
            carrier_url: env::var("CARRIER_URL")?,
        })
    }
}

fn pool(url: &str) -> Result<Pool<AsyncPgConnection>, Box<dyn Error>> {
    trace_connections(SLOW)?; // before the first connection
    let pool = Pool::builder(AsyncDieselConnectionManager::new(url)).build()?;
    let observed = pool.clone();
    observe_pool("parcels", move || {
        let status = observed.status();
        PoolState {
            idle: status.available,
            used: status.size.saturating_sub(status.available),
            max: status.max_size,
            pending: status.waiting,
        }
    });
    Ok(pool)
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

/// A job. The trace context travels in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deliver {
    parcel: i64,
    trace: HashMap<String, String>,
}

impl Shop {
    async fn send(&self, parcel: i64) -> Result<(), ShopError> {
        let id = &format!("parcel-{parcel}");
        let enqueue = |trace| async move { self.jobs.enqueue(id, &Deliver { parcel, trace }).await };
        self.producer.send(id, enqueue, |_| "redis").await?;
        Ok(())
    }
}

type Job = Delivery<Deliver>;

/// The service of jobs: what [`deliver`] does, in a span for each job.
fn deliveries(
    shop: Shop,
) -> impl tower::Service<Job, Response = (), Error = Infallible, Future: Send> + Clone + Send + 'static {
    let deliver = service_fn(move |job| deliver(shop.clone(), job));
    Consumer::new("deliveries").layer(received).layer(deliver)
}

fn received(job: &Job) -> Received<'_> {
    Received {
        message_id: &job.id,
        sent_in: &job.job.trace,
        previous_attempt: None,
        attempt: job.attempt.into(),
        waited: job.waited,
        client_id: &job.worker,
    }
}

async fn deliver(shop: Shop, job: Job) -> Result<(), Infallible> {
    let parcel = job.job.parcel;
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
