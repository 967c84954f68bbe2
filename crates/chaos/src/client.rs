//! What clients do with their accepted orders: they hold an event stream or wait for the final state, read,
//! cancel; and an operator retries orders whose card was declined. Each request is repeated until it has a
//! response.

use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::balancer::LoadBalancer;

const REPEAT_DELAY: Duration = Duration::from_millis(500);
/// A stream is open for as long as its order is not final.
const STREAM_TIMEOUT: Duration = Duration::from_secs(600);
/// Each client knows the final state of its order within this time: the api polls PostgreSQL every 5 s.
const FINAL_EVENT_TIMEOUT: Duration = Duration::from_secs(15);
/// An order is cancelled up to this time after its creation.
const MAX_CANCEL_DELAY: f64 = 3.0;

/// What a client does with its order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    Nothing,
    /// Reads it, a list and the totals.
    Read,
    Cancel {
        after: Duration,
    },
    /// Follows it to its final state, by an event stream or by waiting for it; then an operator retries it.
    Follow {
        stream: bool,
        retry: bool,
    },
}

impl Plan {
    pub(crate) fn draw(is_declined: bool, rng: &mut Rng) -> Self {
        let after = Duration::from_secs_f64(rng.f64() * MAX_CANCEL_DELAY);
        let number = rng.u8(..8);
        match number {
            _ if is_declined => Self::Follow {
                stream: number < 4,
                retry: true,
            },
            0 | 1 => Self::Cancel { after },
            2..=4 => Self::Follow {
                stream: number < 4,
                retry: false,
            },
            5 => Self::Read,
            _ => Self::Nothing,
        }
    }
}

/// What a client saw of its order.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) order: Uuid,
    pub(crate) plan: Plan,
    /// The final state, once the client knows it.
    pub(crate) status: Option<String>,
    /// A response of 204: the order is cancelled.
    pub(crate) is_cancelled: bool,
    /// A response of 202: the order is pending again.
    pub(crate) is_retried: bool,
    /// A response of 404 to an order that was accepted.
    pub(crate) is_not_found: bool,
}

/// The clients of a round.
pub(crate) struct Clients {
    running: JoinSet<Option<Seen>>,
    /// Dropped to end them.
    end: watch::Sender<()>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            running: JoinSet::new(),
            end: watch::channel(()).0,
        }
    }
}

impl Clients {
    pub(crate) fn spawn<F>(&mut self, client: impl FnOnce(watch::Receiver<()>) -> F)
    where
        F: Future<Output = Option<Seen>> + Send + 'static,
    {
        self.running.spawn(client(self.end.subscribe()));
    }

    /// What they saw. Called when all orders are final: a client that does not know it within
    /// [`FINAL_EVENT_TIMEOUT`] missed it.
    pub(crate) async fn finish(mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let all = async {
            while let Some(client) = self.running.join_next().await {
                seen.extend(client.ok().flatten());
            }
        };
        let _ = timeout(FINAL_EVENT_TIMEOUT, all).await;
        drop(self.end);
        seen.extend(self.running.join_all().await.into_iter().flatten());
        seen
    }
}

/// A client with an accepted order.
pub(crate) struct Client {
    pub(crate) balancer: LoadBalancer,
    pub(crate) http: reqwest::Client,
    pub(crate) number: u32,
    pub(crate) order: Uuid,
}

impl Client {
    pub(crate) async fn run(self, plan: Plan, mut end: watch::Receiver<()>) -> Seen {
        let mut seen = Seen {
            order: self.order,
            plan,
            status: None,
            is_cancelled: false,
            is_retried: false,
            is_not_found: false,
        };
        tokio::select! {
            () = self.carry_out(plan, &mut seen) => {}
            // An error: the sender is dropped.
            _ = end.changed() => {}
        }
        seen
    }

    async fn carry_out(&self, plan: Plan, seen: &mut Seen) {
        match plan {
            Plan::Nothing => {}
            Plan::Read => {
                for path in ["?limit=50", "/analytics", &format!("/{}", self.order)] {
                    let response = self.repeat(Method::GET, path).await;
                    seen.is_not_found |= response.status() == StatusCode::NOT_FOUND;
                }
            }
            Plan::Cancel { after } => {
                sleep(after).await;
                let response = self.repeat(Method::DELETE, &format!("/{}", self.order)).await;
                seen.is_cancelled = response.status() == StatusCode::NO_CONTENT;
                seen.is_not_found = response.status() == StatusCode::NOT_FOUND;
            }
            Plan::Follow { stream, retry } => {
                let status = self.follow(stream).await;
                // A cancelled or completed order cannot be retried.
                if retry && status == "failed" {
                    let path = format!("/{}/retry", self.order);
                    let response = self.repeat(Method::POST, &path).await;
                    seen.is_retried = response.status() == StatusCode::ACCEPTED;
                    seen.status = Some(self.follow(stream).await);
                } else {
                    seen.status = Some(status);
                }
            }
        }
    }

    /// The first response that is not an error of the server.
    async fn repeat(&self, method: Method, path: &str) -> Response {
        loop {
            for url in self.balancer.route(self.number) {
                let request = self.http.request(method.clone(), orders(url, path));
                if let Ok(response) = request.send().await
                    && !response.status().is_server_error()
                {
                    return response;
                }
            }
            sleep(REPEAT_DELAY).await;
        }
    }

    /// The final state.
    async fn follow(&self, stream: bool) -> String {
        let mut last_event_id = None;
        loop {
            for url in self.balancer.route(self.number) {
                let followed = if stream {
                    self.read_stream(url, &mut last_event_id).await
                } else {
                    self.wait(url).await
                };
                if let Ok(Some(status)) = followed {
                    return status;
                }
            }
            sleep(REPEAT_DELAY).await;
        }
    }

    async fn wait(&self, url: &str) -> anyhow::Result<Option<String>> {
        let url = orders(url, &format!("/{}?wait=10", self.order));
        let order: Value = send(self.http.get(url)).await?.json().await?;
        final_status(&order)
    }

    /// Reads a stream to its final event, or to its end. `last_event_id`: of the last event that
    /// arrived, also by an earlier stream.
    async fn read_stream(
        &self,
        url: &str,
        last_event_id: &mut Option<String>,
    ) -> anyhow::Result<Option<String>> {
        let url = orders(url, &format!("/{}/events", self.order));
        let mut request = self.http.get(url).timeout(STREAM_TIMEOUT);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id.as_str());
        }
        let mut response = send(request).await?;
        let mut text = String::new();
        while let Some(chunk) = response.chunk().await? {
            text.push_str(&String::from_utf8_lossy(&chunk));
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some(status) = read_event(event, last_event_id)? {
                    return Ok(Some(status));
                }
                text = rest.to_owned();
            }
        }
        Ok(None)
    }
}

fn orders(url: &str, path: &str) -> String {
    format!("{url}/api/orders{path}")
}

async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    Ok(request.send().await?.error_for_status()?)
}

/// The final state, if the lines are those of the final event.
fn read_event(lines: &str, last_event_id: &mut Option<String>) -> anyhow::Result<Option<String>> {
    let mut status = None;
    for line in lines.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => *last_event_id = Some(id.to_owned()),
            Some(("data", data)) => status = final_status(&serde_json::from_str(data)?)?,
            _ => {}
        }
    }
    Ok(status)
}

/// The `status` of an order or event, if it is final.
fn final_status(order: &Value) -> anyhow::Result<Option<String>> {
    let status = order.get("status").and_then(Value::as_str);
    let status = status.with_context(|| format!("no status: {order}"))?;
    let is_final = ["completed", "failed", "cancelled"].contains(&status);
    Ok(is_final.then(|| status.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_event_is_recognised() {
        let mut id = None;
        let first = "retry: 1000\nid: 7\ndata: {\"status\":\"pending\"}";
        assert_eq!(read_event(first, &mut id).unwrap(), None);
        assert_eq!(read_event(": still here", &mut id).unwrap(), None);
        assert_eq!(id.as_deref(), Some("7"));
        let last = "id: 8\ndata: {\"status\":\"failed\"}";
        assert_eq!(read_event(last, &mut id).unwrap().as_deref(), Some("failed"));
        assert_eq!(id.as_deref(), Some("8"));
    }
}
