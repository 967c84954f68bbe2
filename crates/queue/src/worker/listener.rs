//! Listens to the queue's wake channel, on a connection of its own, and subscribes again whenever that breaks.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{Client, RedisResult, aio::PubSubStream};
use tokio::time::{sleep, timeout};

use super::poll::Wake;

/// How long to wait before subscribing again, and at most for the subscription: the tick serves meanwhile.
const RETRY: Duration = Duration::from_secs(1);
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// After so long without a message the connection may be dead without either end knowing: make a new one.
const SILENCE: Duration = Duration::from_secs(60);

/// Never returns.
pub(crate) async fn listen(client: Client, channel: String, wake: Arc<Wake>) {
    loop {
        match timeout(SUBSCRIBE_TIMEOUT, subscribe(&client, &channel)).await {
            Ok(Ok(mut messages)) => {
                // For what was enqueued while nobody listened.
                wake.wake();
                while let Ok(Some(_)) = timeout(SILENCE, messages.next()).await {
                    wake.wake();
                }
                tracing::debug!(channel, "listening again");
                continue;
            }
            Ok(Err(error)) => tracing::debug!(channel, %error, "cannot listen"),
            Err(_) => tracing::debug!(channel, "cannot listen: no answer"),
        }
        sleep(RETRY).await;
    }
}

async fn subscribe(client: &Client, channel: &str) -> RedisResult<PubSubStream> {
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(channel).await?;
    Ok(connection.into_on_message())
}
