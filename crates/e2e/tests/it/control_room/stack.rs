//! A stack as `cargo xtask up` runs it, with two workers and a control room.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use control::{Door, Options, Room, Servers, System};
use serde_json::Value;
use testkit::{Postgres, Redis, Service, Stack};
use uuid::Uuid;

use crate::operator::Operator;
use crate::shop;

/// As `up` sets them.
const WORKER_SETTINGS: [(&str, &str); 2] = [("ORDER_LEASE", "10s"), ("PAYMENT_TIMEOUT", "5s")];

pub(crate) struct LocalStack {
    // Dropped in this order.
    _room: Room,
    system: Arc<System>,
    /// The address that `up` prints.
    entrance: String,
    url: String,
    pub(crate) lens: String,
    gateway: String,
    /// The log of the first worker.
    pub(crate) worker_log: PathBuf,
    logs: PathBuf,
}

impl LocalStack {
    pub(crate) async fn up() -> Self {
        // It fails in all tests of this process but the first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (postgres, redis) = (Postgres::start().await.unwrap(), Redis::start().await.unwrap());
        let database_url = postgres.ensure_database("throughline").await.unwrap();
        let redis_url = redis.url().to_owned();
        let door = Door::open(None).unwrap();
        let logs = std::env::temp_dir().join(format!("throughline-room-{}", Uuid::now_v7().simple()));
        let builder = Stack::builder(&database_url, &redis_url).binaries(shop::binaries().await);
        let builder = WORKER_SETTINGS
            .into_iter()
            .fold(builder, |builder, (name, value)| {
                builder.env(Service::Worker, name, value)
            });
        let second = builder
            .clone()
            .only(&[Service::Worker])
            .logs(&logs.join("worker-2"));
        let builder = builder.env(Service::Lens, "LENS_SYSTEM_URL", &door.url());
        let stack = builder.logs(&logs).start().await.unwrap();
        let second = second.beside(&stack).start_without_migration().await.unwrap();
        let (lens, gateway) = (stack.url(Service::Lens), stack.url(Service::Gateway));
        let servers = Servers {
            postgres: Some(postgres),
            redis: Some(redis),
            database_url,
            redis_url,
        };
        let system = Arc::new(System::new(vec![stack, second], servers).unwrap());
        let options = Options {
            token: Arc::new(|| None),
            lease: Duration::from_secs(10),
        };
        let (entrance, url) = (door.entrance(), door.url());
        Self {
            _room: Room::start(door, system.clone(), options).unwrap(),
            system,
            entrance,
            url,
            lens,
            gateway,
            worker_log: logs.join("throughline-worker.log"),
            logs,
        }
    }

    /// A person who opens the address that `up` prints.
    pub(crate) async fn visitor(&self) -> Operator {
        let visitor = Operator::at(&self.url).await;
        let token = self.entrance.strip_prefix(&self.url).unwrap();
        visitor.opens(token).await;
        visitor.is_at("/").await;
        visitor
    }

    /// A person who does not.
    pub(crate) async fn stranger(&self) -> Operator {
        Operator::at(&self.url).await
    }

    /// How often the gateway charged an order.
    pub(crate) async fn charges(&self, order: &str) -> usize {
        let mut url = format!("{}/sandbox/payment_intents?limit=100", self.gateway);
        let mut charges = 0;
        loop {
            let page: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
            let intents = page["data"].as_array().unwrap();
            let is_charge =
                |intent: &&Value| intent["metadata"]["order_id"] == order && intent["status"] == "succeeded";
            charges += intents.iter().filter(is_charge).count();
            if page["has_more"] != true {
                return charges;
            }
            let last = intents.last().unwrap()["id"].as_str().unwrap();
            url = format!(
                "{}/sandbox/payment_intents?limit=100&starting_after={last}",
                self.gateway
            );
        }
    }

    pub(crate) async fn down(self) {
        self.system.stop().await.unwrap();
        std::fs::remove_dir_all(&self.logs).unwrap();
    }
}
