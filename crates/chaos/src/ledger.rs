//! The charges that the gateway's ledger has.

use std::collections::HashMap;

use anyhow::{Context, bail};
use serde_json::Value;
use uuid::Uuid;

use crate::deployment::Deployment;

/// The charges' ids by order.
pub(crate) type Charges = HashMap<Uuid, Vec<String>>;

/// Reads the whole list of payment intents, page by page.
pub(crate) async fn read(deployment: &Deployment) -> anyhow::Result<Charges> {
    let mut charges = Charges::new();
    let mut last: Option<String> = None;
    loop {
        let mut url = format!("{}/v1/payment_intents?limit=100", deployment.gateway_url);
        if let Some(last) = &last {
            url.push_str(&format!("&starting_after={last}"));
        }
        let request = deployment.http.get(url).bearer_auth("sk_test_throughline");
        let page: Value = request.send().await?.error_for_status()?.json().await?;
        let Some(intents) = page.get("data").and_then(Value::as_array) else {
            bail!("the gateway's list has no data: {page}");
        };
        for intent in intents {
            let id = text(intent, "/id")?.to_owned();
            last = Some(id.clone());
            if text(intent, "/status")? == "succeeded" {
                let order = text(intent, "/metadata/order_id")?.parse()?;
                charges.entry(order).or_default().push(id);
            }
        }
        if page.get("has_more").and_then(Value::as_bool) != Some(true) {
            return Ok(charges);
        }
    }
}

fn text<'a>(intent: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    let text = intent.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("a payment without {pointer}: {intent}"))
}
