//! `order`: creates an order, and can watch it until it is final.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api;

/// Longer than all attempts of an order with the default settings.
const WATCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Create an order and print it
#[derive(clap::Args)]
pub(crate) struct Order {
    /// Name of the product
    #[arg(long, default_value = "Widget")]
    product: String,
    /// Its price; above 1000 it is validated as a high-value order
    #[arg(long, default_value = "99.99")]
    amount: String,
    /// credit_card, debit_card or paypal; without it nothing is charged
    #[arg(long, value_name = "METHOD")]
    payment: Option<String>,
    /// A token for the payment gateway, such as pm_card_chargeDeclined
    #[arg(long, value_name = "TOKEN", requires = "payment")]
    payment_token: Option<String>,
    /// Watch it until its final state; exit code 1 unless that is `completed`
    #[arg(long)]
    watch: bool,
}

impl Order {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let (client, orders) = (api::api_client()?, format!("{}/api/orders", api::api_url()?));
        let mut order = api::json(client.post(&orders).json(&self.body())).await?;
        if self.watch {
            let id = text(&order, "id")?.to_owned();
            order = watch(order, || api::json(client.get(format!("{orders}/{id}")))).await?;
        }
        println!("{order:#}");
        let completed = text(&order, "status")? == "completed";
        Ok(if completed || !self.watch {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn body(&self) -> Value {
        let mut body = json!({ "product_name": self.product, "amount": self.amount });
        if let (Value::Object(fields), Some(method)) = (&mut body, &self.payment) {
            fields.insert("payment_method".to_owned(), method.as_str().into());
            if let Some(token) = &self.payment_token {
                fields.insert("payment_token".to_owned(), token.as_str().into());
            }
        }
        body
    }
}

/// Reads the order until it is final; prints each new status.
async fn watch<F, Fut>(mut order: Value, read: F) -> anyhow::Result<Value>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<Value>>,
{
    let end = Instant::now() + WATCH_TIMEOUT;
    let mut seen = String::new();
    let mut pause = Duration::from_millis(10);
    loop {
        let status = text(&order, "status")?;
        if status != seen {
            eprintln!("{status}");
            seen = status.to_owned();
        }
        if matches!(status, "completed" | "failed" | "cancelled") {
            return Ok(order);
        }
        if Instant::now() >= end {
            bail!("the order is still {status} after {WATCH_TIMEOUT:?}: see the logs in .local/logs");
        }
        // Each request makes a trace, so the interval grows.
        pause = (pause * 2).min(Duration::from_secs(1));
        sleep(pause).await;
        order = read().await?;
    }
}

fn text<'a>(order: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    order
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("the order has no {field}: {order}"))
}
