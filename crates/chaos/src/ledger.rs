//! What the gateway's ledger has of the orders.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, bail};
use serde_json::Value;
use uuid::Uuid;

use crate::deployment::Deployment;

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    charges: HashMap<Uuid, Vec<String>>,
    /// The ids of the intents that may still charge their order.
    open: HashSet<String>,
}

impl Ledger {
    /// The ids of the intents that charged this order.
    pub(crate) fn charges_of(&self, order: Uuid) -> &[String] {
        self.charges.get(&order).map_or(&[], Vec::as_slice)
    }

    /// Whether the intent may still charge its order.
    pub(crate) fn is_open(&self, intent: &str) -> bool {
        self.open.contains(intent)
    }

    /// Reads the whole list of payment intents, page by page.
    pub(crate) async fn read(deployment: &Deployment) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
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
                last = Some(ledger.add(intent)?);
            }
            if page.get("has_more").and_then(Value::as_bool) != Some(true) {
                return Ok(ledger);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn of_charge(order: Uuid) -> Self {
        Self {
            charges: HashMap::from([(order, vec!["pi_1".to_owned()])]),
            ..Self::default()
        }
    }

    fn add(&mut self, intent: &Value) -> anyhow::Result<String> {
        let id = text(intent, "/id")?.to_owned();
        match text(intent, "/status")? {
            "succeeded" => {
                let order = text(intent, "/metadata/order_id")?.parse()?;
                self.charges.entry(order).or_default().push(id.clone());
            }
            "canceled" => {}
            _ => {
                self.open.insert(id.clone());
            }
        }
        Ok(id)
    }
}

fn text<'a>(intent: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    let text = intent.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("a payment without {pointer}: {intent}"))
}
