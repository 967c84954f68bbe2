//! Publishes order events over Redis. An event is a transition of an order as clients see it. The process
//! that made the transition in PostgreSQL publishes it on the channel `{queue}:transitions`; each API process
//! subscribes to that channel with one connection. Redis may lose a message, so subscribers also poll
//! PostgreSQL every few seconds.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Attempt, Failure, Order, OrderId, OrderStatus, PaymentStatus, ProcessOrder};
use futures_util::StreamExt;
use queue::{Connection, Queue, QueueConfig};
use redis::aio::PubSubStream;
use redis::{Client, RedisResult};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Events that are buffered while Redis is slow; further ones are dropped.
const CHANNEL_CAPACITY: usize = 4096;
/// Events that are published with one round trip.
const MAX_BATCH: usize = 128;
/// For publishing a batch, and for subscribing.
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);
const RECONNECT_DELAY: Duration = Duration::from_millis(500);
/// A connection without a message for this long may be dead without either end knowing, so it is replaced.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The state of an order after a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The order that changed.
    pub order_id: OrderId,
    /// The status after the transition.
    pub status: OrderStatus,
    /// Attempts so far.
    pub attempt: Attempt,
    /// The payment's status after the transition.
    pub payment_status: PaymentStatus,
    /// Why the last attempt failed.
    pub failure: Option<Failure>,
    /// The time of the transition. It increases from one transition of an order to the next.
    pub updated_at: DateTime<Utc>,
}

impl From<&Order> for OrderEvent {
    fn from(order: &Order) -> Self {
        Self {
            order_id: order.id,
            status: order.status,
            attempt: order.attempt,
            payment_status: order.payment_status,
            failure: order.failure.clone(),
            updated_at: order.updated_at,
        }
    }
}

fn channel(queue: &str) -> String {
    format!("{queue}:transitions")
}

/// Publishes events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<OrderEvent>);

impl Publisher {
    /// Starts a task that publishes on the channel of `queue`, so that [`publish`](Self::publish) never waits
    /// for Redis.
    pub fn start(queue: &Queue<ProcessOrder>) -> Self {
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        tokio::spawn(publish_all(queue.connection(), channel(queue.name()), receiver));
        Self(sender)
    }

    /// Publishes the order's present state to its subscribers.
    pub fn publish(&self, order: &Order) {
        if self.0.try_send(order.into()).is_err() {
            tracing::debug!(order.id = %order.id, "event dropped: too many are waiting for Redis");
        }
    }
}

async fn publish_all(mut connection: Connection, channel: String, mut events: mpsc::Receiver<OrderEvent>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while events.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let mut pipeline = redis::pipe();
        for event in batch.drain(..) {
            // An event is text and numbers: serializing it does not fail.
            if let Ok(json) = serde_json::to_vec(&event) {
                pipeline.publish(&channel, json).ignore();
            }
        }
        match timeout(REDIS_TIMEOUT, pipeline.exec_async(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot publish events"),
            Err(_) => tracing::debug!("cannot publish events: timeout"),
        }
    }
}

/// What a [`Subscriber`] reports.
#[derive(Debug, Clone)]
pub enum Notification {
    /// Events are received from now on; earlier ones may have been missed.
    Subscribed,
    /// An order changed.
    Event(OrderEvent),
    /// No events are received until the next [`Subscribed`](Self::Subscribed).
    Disconnected,
}

/// Subscribes to the events of one queue's orders.
#[derive(Debug)]
pub struct Subscriber {
    client: Client,
    channel: String,
}

impl Subscriber {
    /// Does not connect yet.
    ///
    /// # Errors
    /// The URL of Redis is malformed.
    pub fn new(config: &QueueConfig) -> RedisResult<Self> {
        Ok(Self {
            client: Client::open(config.redis_url())?,
            channel: channel(config.name()),
        })
    }

    /// Calls `notify` for each event, and for each change of the connection, which it restores itself. Never
    /// returns.
    pub async fn run(&self, notify: impl Fn(Notification)) {
        loop {
            match timeout(REDIS_TIMEOUT, self.subscribe()).await {
                Ok(Ok(mut messages)) => {
                    notify(Notification::Subscribed);
                    while let Ok(Some(message)) = timeout(SILENCE_TIMEOUT, messages.next()).await {
                        match serde_json::from_slice(message.get_payload_bytes()) {
                            Ok(event) => notify(Notification::Event(event)),
                            Err(error) => tracing::debug!(%error, "ignored an event of another version"),
                        }
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "cannot subscribe to events"),
                Err(_) => tracing::debug!("cannot subscribe to events: timeout"),
            }
            notify(Notification::Disconnected);
            sleep(RECONNECT_DELAY).await;
        }
    }

    async fn subscribe(&self) -> RedisResult<PubSubStream> {
        let mut connection = self.client.get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        Ok(connection.into_on_message())
    }
}
