//! A whole response, and its snapshot without what differs between runs.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null if the body is not JSON.
    pub(crate) body: Value,
}

impl Response {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.timeout(Duration::from_secs(60)).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The ids of a page of orders.
    pub(crate) fn ids(&self) -> Vec<String> {
        let orders = self.body["data"].as_array().unwrap().iter();
        orders
            .map(|order| order["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Status, headers and body; ids and times are redacted.
    pub(crate) fn snapshot(&self) -> Value {
        const SHOWN: [&str; 9] = [
            "allow",
            "cache-control",
            "content-type",
            "idempotency-replayed",
            "link",
            "location",
            "ratelimit-policy",
            "retry-after",
            "www-authenticate",
        ];
        let headers: serde_json::Map<String, Value> = SHOWN
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), redact(name, &json!(self.header(name)?)))))
            .collect();
        json!({ "status": self.status, "headers": headers, "body": redact("", &self.body) })
    }

    /// Asserts that it is a complete problem, and returns its detail.
    pub(crate) fn problem(&self, status: u16, path: &str) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(self.body["type"], "about:blank");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["instance"], path, "{self:?}");
        let trace_id = self.body["trace_id"].as_str().expect("a trace id");
        assert_eq!(trace_id.len(), 32, "{self:?}");
        assert!(!self.body["title"].as_str().unwrap().is_empty());
        self.body["detail"].as_str().unwrap()
    }
}

fn redact(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), redact(name, value)))
            .collect(),
        Value::Array(values) => values.iter().map(|value| redact(name, value)).collect(),
        Value::String(_) if name == "trace_id" => json!("[trace id]"),
        Value::String(_) if name == "next_cursor" => json!("[cursor]"),
        Value::String(_) if name == "at" || name.ends_with("_at") => json!("[time]"),
        Value::String(text) => json!(without_ids(text)),
        other => other.clone(),
    }
}

/// Replaces UUIDs and cursors.
fn without_ids(text: &str) -> String {
    let text = match text.split_once("cursor=") {
        Some((before, rest)) => {
            let end = rest.find(['>', '&']).unwrap_or(rest.len());
            format!("{before}cursor=[cursor]{}", &rest[end..])
        }
        None => text.to_owned(),
    };
    let is_id = |part: &str| part.parse::<uuid::Uuid>().is_ok();
    let parts: Vec<&str> = text
        .split('/')
        .map(|part| if is_id(part) { "[id]" } else { part })
        .collect();
    parts.join("/")
}
