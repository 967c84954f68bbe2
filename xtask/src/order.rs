//! `order`: creates an order, and can watch it until it is final.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::{Value, json};

use crate::{api, watch};

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
    /// Print each transition until its final state; exit code 1 unless that is `completed`
    #[arg(long)]
    watch: bool,
}

impl Order {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let (client, orders) = (api::api_client()?, format!("{}/api/orders", api::api_url()?));
        let mut order = api::json(client.post(&orders).json(&self.body())).await?;
        if self.watch {
            let path = format!("{orders}/{}", text(&order, "id")?);
            watch::watch(&client, &path).await?;
            order = api::json(client.get(path)).await?;
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

fn text<'a>(order: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    order
        .get(field)
        .and_then(Value::as_str)
        .with_context(|| format!("the order has no {field}: {order}"))
}
