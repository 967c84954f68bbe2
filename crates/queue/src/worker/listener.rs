//! Subscribes to the queue's wake channel, on a separate connection, and resubscribes whenever that breaks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::PubSubStream;
use redis::{Client, RedisResult};
use tokio::time::{sleep, timeout};

use super::poll::Wake;

/// Delay before a failed subscription is retried. The worker polls meanwhile.
const RESUBSCRIBE_DELAY: Duration = Duration::from_secs(1);
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// After this long without a message the connection may be dead without either end knowing: make a new one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Never returns.
pub(crate) async fn listen(client: Client, channel: String, wake: Arc<Wake>) {
    loop {
        match timeout(SUBSCRIBE_TIMEOUT, subscribe(&client, &channel)).await {
            Ok(Ok(mut messages)) => {
                // Jobs may have been enqueued before the subscription.
                wake.wake();
                while let Ok(Some(_)) = timeout(IDLE_TIMEOUT, messages.next()).await {
                    wake.wake();
                }
                tracing::debug!(channel, "resubscribing to the wake channel");
                continue;
            }
            Ok(Err(error)) => tracing::debug!(channel, %error, "cannot subscribe to the wake channel"),
            Err(_) => tracing::debug!(channel, "cannot subscribe to the wake channel: timeout"),
        }
        sleep(RESUBSCRIBE_DELAY).await;
    }
}

async fn subscribe(client: &Client, channel: &str) -> RedisResult<PubSubStream> {
    let mut connection = client.get_async_pubsub().await?;
    connection.subscribe(channel).await?;
    Ok(connection.into_on_message())
}
