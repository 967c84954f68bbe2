//! Operators who change many orders at once while faults happen: they retry those whose cards were declined,
//! and cancel the newest that are pending. A request that a fault prevents is not repeated: the next one is
//! for the same orders.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::deployment::Deployment;

const PAUSE: Duration = Duration::from_millis(700);
/// Few orders are as young, so most of them are processed.
const CANCELLED_AGE: Duration = Duration::from_millis(200);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

const READ: &str = "SELECT count(*), count(*) FILTER (WHERE finished_at IS NULL),
        coalesce(sum(done) FILTER (WHERE kind = 'retry'), 0)::bigint,
        coalesce(sum(done) FILTER (WHERE kind = 'cancel'), 0)::bigint
    FROM operations WHERE created_at >= $1";

/// What the operations of a round did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Operations {
    pub(crate) all: usize,
    pub(crate) unfinished: usize,
    /// Orders.
    pub(crate) retried: usize,
    pub(crate) cancelled: usize,
}

/// Changes orders that were created from now on, until `work` ends.
pub(crate) async fn beside<T>(deployment: &Deployment, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(operate(deployment, Utc::now()))).await {
        Either::Left((result, _)) => result,
        Either::Right((never, _)) => match never {},
    }
}

/// The operations since `start`, once they are finished or the timeout is over.
pub(crate) async fn finished(
    sql: &Client,
    start: DateTime<Utc>,
    timeout: Duration,
) -> anyhow::Result<Operations> {
    let end = Instant::now() + timeout;
    loop {
        let row = sql.query_one(READ, &[&start]).await?;
        let number = |column| usize::try_from(row.get::<_, i64>(column)).unwrap_or_default();
        let operations = Operations {
            all: number(0),
            unfinished: number(1),
            retried: number(2),
            cancelled: number(3),
        };
        if operations.unfinished == 0 || Instant::now() >= end {
            return Ok(operations);
        }
        sleep(LOOK_INTERVAL).await;
    }
}

async fn operate(deployment: &Deployment, start: DateTime<Utc>) -> Infallible {
    loop {
        sleep(PAUSE).await;
        let declined = json!({ "failure_code": "card_declined", "created_after": start.to_rfc3339() });
        request(deployment, "retry", &declined).await;
        sleep(PAUSE).await;
        let newest = (Utc::now() - CANCELLED_AGE).max(start).to_rfc3339();
        request(deployment, "cancel", &json!({ "created_after": newest })).await;
    }
}

async fn request(deployment: &Deployment, change: &str, filter: &Value) {
    for url in deployment.balancer.route(0) {
        let request = deployment.http.post(format!("{url}/api/orders/{change}"));
        let response = request.json(filter).send().await;
        if response.is_ok_and(|response| response.status().is_success()) {
            return;
        }
    }
}
