//! A worker without Redis, to compare with: it claims due orders with `FOR UPDATE SKIP LOCKED`, completes
//! them, and is woken by NOTIFY.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use testkit::Database;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// How often an idle worker looks for due orders without a notification: for a lost one, and for orders whose
/// time has come.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

const CLAIM: &str = "UPDATE orders SET status = 'processing', attempt = attempt + 1, \
    attempts_two_step = attempts_two_step + 1, claim_token = gen_random_uuid(), \
    dispatch_after = now() + interval '30 s', updated_at = now() \
    WHERE id = ANY(ARRAY(SELECT id FROM orders WHERE dispatch_after <= now() AND status = 'pending' \
      ORDER BY dispatch_after LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING id::text";
const COMPLETE: &str = "UPDATE orders SET status = 'completed', dispatch_after = NULL, completed_at = now(), \
    updated_at = now() WHERE id = ANY($1::text[]::uuid[]) AND status = 'processing'";

/// A running worker. It ends when it is dropped.
pub(crate) struct Worker(JoinSet<anyhow::Result<()>>);

impl Worker {
    /// A worker of so many connections, each of which claims up to `rows` orders with a statement.
    pub(crate) async fn start(database: &Database, connections: usize, rows: i64) -> anyhow::Result<Self> {
        let wake = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let (listener, mut connection) = tokio_postgres::connect(database.url(), NoTls).await?;
        let notified = Arc::clone(&wake);
        tasks.spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(message?, AsyncMessage::Notification(_)) {
                    notified.notify_one();
                }
            }
            Ok(())
        });
        listener.batch_execute("LISTEN orders_due").await?;
        for _ in 0..connections {
            let client = database.connect().await?;
            tasks.spawn(work(client, rows, Arc::clone(&wake)));
        }
        // Without its client the connection ends.
        tasks.spawn(async move {
            let _listener = listener;
            std::future::pending().await
        });
        Ok(Self(tasks))
    }

    /// Returns the error that ends it. Waits for one.
    pub(crate) async fn failed(&mut self) -> anyhow::Result<()> {
        self.0.join_next().await.context("a worker without tasks")??
    }
}

async fn work(client: Client, rows: i64, wake: Arc<Notify>) -> anyhow::Result<()> {
    let (claim, complete) = (client.prepare(CLAIM).await?, client.prepare(COMPLETE).await?);
    loop {
        let claimed = client.query(&claim, &[&rows]).await?;
        if claimed.is_empty() {
            let _ = timeout(POLL_INTERVAL, wake.notified()).await;
            continue;
        }
        // There may be more than this connection takes at once.
        wake.notify_one();
        let ids: Vec<String> = claimed.iter().map(|row| row.get(0)).collect();
        client.execute(&complete, &[&ids]).await?;
    }
}
