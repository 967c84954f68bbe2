//! What the gateway's ledger has of the orders.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, bail};
use serde_json::Value;
use uuid::Uuid;

/// The charges of each order, as far as the gateway has them.
#[derive(Debug, Default)]
pub struct Ledger {
    charges: BTreeMap<Uuid, Vec<String>>,
    /// The ids of the intents that may still charge their order.
    open: HashSet<String>,
    /// The newest intent of the last reading.
    newest: Option<String>,
}

impl Ledger {
    /// The ids of the intents that charged this order.
    pub fn charges_of(&self, order: Uuid) -> &[String] {
        self.charges.get(&order).map_or(&[], Vec::as_slice)
    }

    /// How many orders were charged more than once.
    pub fn charged_twice(&self) -> usize {
        self.charges.values().filter(|charges| charges.len() > 1).count()
    }

    /// The ids of the intents that may still charge their order.
    pub fn open(&self) -> &HashSet<String> {
        &self.open
    }

    /// Reads what is new in the list of payment intents, page by page: back to the newest intent of the last
    /// reading, and to the oldest that was open then.
    ///
    /// # Errors
    /// When the gateway is unreachable, or its list is malformed.
    pub async fn read(&mut self, http: &reqwest::Client, gateway_url: &str) -> anyhow::Result<()> {
        let mut awaited = self.open.clone();
        awaited.extend(self.newest.clone());
        let reads_all = awaited.is_empty();
        let (mut open, mut newest, mut last) = (HashSet::new(), None, None::<String>);
        loop {
            let mut url = format!("{gateway_url}/sandbox/payment_intents?limit=100");
            if let Some(last) = &last {
                url.push_str(&format!("&starting_after={last}"));
            }
            let page: Value = http.get(url).send().await?.error_for_status()?.json().await?;
            let Some(intents) = page.get("data").and_then(Value::as_array) else {
                bail!("the gateway's list has no data: {page}");
            };
            for intent in intents {
                let id = text(intent, "/id")?.to_owned();
                if self.add(intent)? {
                    open.insert(id.clone());
                }
                awaited.remove(&id);
                newest.get_or_insert_with(|| id.clone());
                last = Some(id);
            }
            let has_more = page.get("has_more").and_then(Value::as_bool) == Some(true);
            if !has_more || !reads_all && awaited.is_empty() {
                break;
            }
        }
        (self.open, self.newest) = (open, newest);
        Ok(())
    }

    /// Forgets the charges of the oldest orders beyond this number.
    pub fn keep(&mut self, orders: usize) {
        while self.charges.len() > orders {
            self.charges.pop_first();
        }
    }

    #[cfg(test)]
    pub(crate) fn of_charge(order: Uuid) -> Self {
        Self {
            charges: BTreeMap::from([(order, vec!["pi_1".to_owned()])]),
            ..Self::default()
        }
    }

    /// Whether the intent may still charge its order.
    fn add(&mut self, intent: &Value) -> anyhow::Result<bool> {
        match text(intent, "/status")? {
            "succeeded" => {
                let charges = self.charges.entry(text(intent, "/metadata/order_id")?.parse()?);
                let (charges, id) = (charges.or_default(), text(intent, "/id")?);
                if !charges.iter().any(|known| known == id) {
                    charges.push(id.to_owned());
                }
                Ok(false)
            }
            "canceled" => Ok(false),
            _ => Ok(true),
        }
    }
}

fn text<'a>(intent: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    let text = intent.pointer(pointer).and_then(Value::as_str);
    text.with_context(|| format!("a payment without {pointer}: {intent}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_intent_that_is_read_again_is_one_charge_and_two_intents_are_two() {
        let (order, mut ledger) = (Uuid::from_u128(1), Ledger::default());
        let charge = |id| json!({ "id": id, "status": "succeeded", "metadata": { "order_id": order } });
        for intent in [charge("pi_1"), charge("pi_1")] {
            assert!(!ledger.add(&intent).unwrap());
        }
        assert_eq!((ledger.charges_of(order).len(), ledger.charged_twice()), (1, 0));
        ledger.add(&charge("pi_2")).unwrap();
        assert_eq!((ledger.charges_of(order).len(), ledger.charged_twice()), (2, 1));
        ledger.keep(0);
        assert_eq!(ledger.charged_twice(), 0);
    }
}
