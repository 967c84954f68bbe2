//! Telling whoever waits for an order that it has changed. Whoever changed it in PostgreSQL announces it on a channel in Redis,
//! `{queue}:transitions`; every API process listens to all of them with one connection. A message may be lost, and is missed by
//! nobody for long: PostgreSQL is asked every few seconds as well.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Attempt, FailureCode, Order, OrderId, OrderStatus, PaymentStatus, ProcessOrder};
use futures_util::StreamExt;
use queue::{Connection, Queue, QueueConfig};
use redis::aio::PubSubStream;
use redis::{Client, RedisResult};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Announcements that wait while Redis is slow; more are dropped.
const BACKLOG: usize = 4096;
/// Announcements that are sent at a time.
const BATCH: usize = 128;
/// How long Redis may take for a batch, or for a subscription.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before listening again.
const RETRY: Duration = Duration::from_millis(500);
/// After so long without a message the connection may be dead without either end knowing: make a new one.
const SILENCE: Duration = Duration::from_secs(60);

/// What an order became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which one.
    pub order_id: OrderId,
    /// Where it is on its way.
    pub status: OrderStatus,
    /// How many attempts there were.
    pub attempt: Attempt,
    /// How far its payment is.
    pub payment_status: PaymentStatus,
    /// Why the last attempt failed.
    pub failure: Option<TransitionFailure>,
    /// When it became so: later transitions of one order have later moments.
    pub updated_at: DateTime<Utc>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionFailure {
    /// The kind.
    pub code: FailureCode,
    /// What happened, for a person.
    pub detail: String,
}

impl From<&Order> for Transition {
    fn from(order: &Order) -> Self {
        let failure = order.failure.as_ref().map(|failure| TransitionFailure {
            code: failure.code,
            detail: failure.detail.clone(),
        });
        Self {
            order_id: order.id,
            status: order.status,
            attempt: order.attempt,
            payment_status: order.payment_status,
            failure,
            updated_at: order.updated_at,
        }
    }
}

fn channel(queue: &str) -> String {
    format!("{queue}:transitions")
}

/// Announces transitions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Announcer(mpsc::Sender<Transition>);

impl Announcer {
    /// Announces beside this queue, from a task of its own: nobody who announces waits for Redis.
    pub fn start(queue: &Queue<ProcessOrder>) -> Self {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        tokio::spawn(publish(queue.connection(), channel(queue.name()), receiver));
        Self(sender)
    }

    /// Tells whoever waits for this order how it is now.
    pub fn announce(&self, order: &Order) {
        if self.0.try_send(order.into()).is_err() {
            tracing::debug!(order.id = %order.id, "not announced");
        }
    }
}

async fn publish(mut connection: Connection, channel: String, mut transitions: mpsc::Receiver<Transition>) {
    let mut batch = Vec::with_capacity(BATCH);
    while transitions.recv_many(&mut batch, BATCH).await > 0 {
        let mut pipeline = redis::pipe();
        for transition in batch.drain(..) {
            // A transition is text and numbers: it always goes into JSON.
            if let Ok(json) = serde_json::to_vec(&transition) {
                pipeline.publish(&channel, json).ignore();
            }
        }
        let published = pipeline.exec_async(&mut connection);
        match timeout(TIMEOUT, published).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "transitions were not announced"),
            Err(_) => tracing::debug!("transitions were not announced: no answer"),
        }
    }
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Heard {
    /// From now on transitions are heard; those before may have been missed.
    Listening,
    /// An order changed.
    Transition(Transition),
    /// Until further notice nothing is heard.
    Deaf,
}

/// Listens to the transitions of one queue.
#[derive(Debug)]
pub struct Listener {
    client: Client,
    channel: String,
}

impl Listener {
    /// Connects only when it listens.
    ///
    /// # Errors
    /// The URL of Redis is malformed.
    pub fn new(config: &QueueConfig) -> RedisResult<Self> {
        Ok(Self {
            client: Client::open(config.redis_url.as_str())?,
            channel: channel(&config.name),
        })
    }

    /// Tells `heard` of everything, whatever becomes of Redis meanwhile. Never returns.
    pub async fn listen(&self, heard: impl Fn(Heard)) {
        loop {
            match timeout(TIMEOUT, self.subscribe()).await {
                Ok(Ok(mut messages)) => {
                    heard(Heard::Listening);
                    while let Ok(Some(message)) = timeout(SILENCE, messages.next()).await {
                        match serde_json::from_slice(message.get_payload_bytes()) {
                            Ok(transition) => heard(Heard::Transition(transition)),
                            Err(error) => {
                                tracing::debug!(%error, "a transition of another version");
                            }
                        }
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "cannot listen to transitions"),
                Err(_) => tracing::debug!("cannot listen to transitions: no answer"),
            }
            heard(Heard::Deaf);
            sleep(RETRY).await;
        }
    }

    async fn subscribe(&self) -> RedisResult<PubSubStream> {
        let mut connection = self.client.get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        Ok(connection.into_on_message())
    }
}
