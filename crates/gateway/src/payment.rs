//! A payment intent: the request and its result. It is immutable.
//! <https://docs.stripe.com/api/payment_intents/object>

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use iso_currency::Currency;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cards::{Card, Decline};
use crate::error::StripeError;
use crate::form::Form;

/// In minor units. Stripe accepts 12 digits for some currencies; the sandbox accepts them for all, because
/// the largest amount of an order has 11.
const MAX_AMOUNT: i64 = 999_999_999_999;

/// Stripe's parameters that the sandbox reads or ignores; any other is rejected as a typo.
const KNOWN: &[&str] = &[
    "amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "currency",
    "customer",
    "description",
    "error_on_requires_action",
    "expand",
    "metadata",
    "off_session",
    "payment_method",
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
];

/// The parameters of a request. Two requests with one idempotency key must be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentRequest {
    /// In minor units, more than 0.
    amount: i64,
    currency: Currency,
    card: Option<&'static Card>,
    confirm: bool,
    metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct PaymentIntent {
    id: String,
    /// Unix time in seconds.
    created: u64,
    request: PaymentRequest,
    /// Set whenever the card was charged or declined.
    charge_id: Option<String>,
}

impl PaymentRequest {
    pub(crate) fn from_form(form: &Form) -> Result<Self, StripeError> {
        form.only(KNOWN)?;
        let amount = form.integer("amount", 1..=MAX_AMOUNT)?;
        let amount = amount.ok_or_else(|| StripeError::missing("amount"))?;
        let currency = currency(form.required("currency")?)?;
        check_step(amount, currency)?;
        let request = Self {
            amount,
            currency,
            card: form.get("payment_method").map(card).transpose()?,
            confirm: form.flag("confirm")?,
            metadata: metadata(form)?,
        };
        if request.confirm && request.card.is_none() {
            return Err(StripeError::missing("payment_method"));
        }
        Ok(request)
    }

    /// The value of `metadata[name]`.
    pub(crate) fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }
}

fn currency(code: &str) -> Result<Currency, StripeError> {
    let lower_case = code.bytes().all(|byte| byte.is_ascii_lowercase());
    let known = Currency::from_code(&code.to_ascii_uppercase()).filter(|_| lower_case);
    // ISO 4217 also lists gold and units of account, which Stripe does not accept.
    let accepted = known.filter(|currency| currency.exponent().is_some_and(|decimals| decimals <= 3));
    accepted.ok_or_else(|| {
        let message = "Invalid currency: it must be the lower-case ISO 4217 code of a currency, such as usd.";
        StripeError::invalid(message).param("currency")
    })
}

/// Stripe's rules for currencies whose smallest amount in use is above one minor unit.
/// <https://docs.stripe.com/currencies>
fn check_step(amount: i64, currency: Currency) -> Result<(), StripeError> {
    let (step, code) = match currency {
        Currency::ISK | Currency::UGX => (100, "invalid_charge_amount_no_decimal_compatible"),
        _ if currency.exponent() == Some(3) => (10, "parameter_invalid_integer"),
        _ => return Ok(()),
    };
    if amount % step == 0 {
        return Ok(());
    }
    let name = currency.code();
    let message = format!("Invalid amount: in {name} it must be a multiple of {step}.");
    Err(StripeError::parameter("amount", code, message))
}

fn card(token: &str) -> Result<&'static Card, StripeError> {
    Card::of(token).ok_or_else(|| {
        let message =
            "No such PaymentMethod: the sandbox accepts Stripe's test tokens only, such as pm_card_visa.";
        StripeError::parameter("payment_method", "resource_missing", message)
    })
}

/// Stripe's limits: 50 keys of up to 40 characters, values of up to 500.
/// <https://docs.stripe.com/api/metadata>
fn metadata(form: &Form) -> Result<BTreeMap<String, String>, StripeError> {
    let pairs = form
        .map("metadata")
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let metadata: BTreeMap<String, String> = pairs.collect();
    let fits = |(key, value): (&String, &String)| {
        let plain = !key.is_empty() && !key.contains(['[', ']']);
        plain && key.chars().count() <= 40 && value.chars().count() <= 500
    };
    if metadata.len() <= 50 && metadata.iter().all(fits) {
        return Ok(metadata);
    }
    let message = "Metadata has up to 50 keys of up to 40 characters, without square brackets, and values of up to 500.";
    Err(StripeError::invalid(message).param("metadata"))
}

impl PaymentIntent {
    /// Creates the intent, and charges the card if the request confirms it.
    pub(crate) fn new(request: PaymentRequest) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let new_id = |prefix: &str| format!("{prefix}_{}", Uuid::new_v4().simple());
        Self {
            id: new_id("pi"),
            created: since_1970.map_or(0, |time| time.as_secs()),
            charge_id: request.confirm.then(|| new_id("ch")),
            request,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn request(&self) -> &PaymentRequest {
        &self.request
    }

    fn decline(&self) -> Option<&'static Decline> {
        let confirmed = self.request.card.filter(|_| self.request.confirm);
        confirmed.and_then(|card| card.decline.as_ref())
    }

    /// The error that reports a declined card; `None` where the card was not declined.
    pub(crate) fn decline_error(&self) -> Option<StripeError> {
        let error = |decline| StripeError::declined(decline, self.charge_id.clone(), self.to_json());
        self.decline().map(error)
    }

    /// Whether money was taken.
    pub(crate) fn is_charged(&self) -> bool {
        self.request.confirm && self.decline().is_none()
    }

    /// Stripe's `status`.
    pub(crate) fn status(&self) -> &'static str {
        match self.request.card {
            _ if self.is_charged() => "succeeded",
            Some(_) if !self.request.confirm => "requires_confirmation",
            _ => "requires_payment_method",
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let request = &self.request;
        let decline = self.decline();
        // Stripe detaches a declined card from the intent.
        let card = request.card.filter(|_| decline.is_none());
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": request.amount,
            "amount_capturable": 0,
            "amount_received": if self.is_charged() { request.amount } else { 0 },
            "capture_method": "automatic",
            "created": self.created,
            "currency": request.currency.code().to_ascii_lowercase(),
            "last_payment_error": decline.map(|decline| json!({
                "type": "card_error",
                "code": decline.code,
                "decline_code": decline.decline_code,
                "message": decline.message,
            })),
            "latest_charge": self.charge_id,
            "livemode": false,
            "metadata": request.metadata,
            "payment_method": card.map(|card| card.token),
            "payment_method_types": ["card"],
            "status": self.status(),
        })
    }

    /// About how many bytes of memory the intent takes; bounds the ledger.
    pub(crate) fn memory_size(&self) -> usize {
        /// The struct, its ids, and its entries in the ledger's maps.
        const FIXED: usize = 640;
        /// A map entry without its strings.
        const ENTRY: usize = 64;
        let metadata = self.request.metadata.iter();
        FIXED
            + metadata
                .map(|(key, value)| ENTRY + key.len() + value.len())
                .sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(form: &str) -> Result<PaymentRequest, StripeError> {
        PaymentRequest::from_form(&Form::parse(form.as_bytes()))
    }

    #[test]
    fn a_card_that_pays_is_charged_only_when_confirmed() {
        let paid = PaymentIntent::new(
            request("amount=5&currency=usd&payment_method=pm_card_visa&confirm=true").unwrap(),
        );
        assert_eq!((paid.status(), paid.is_charged()), ("succeeded", true));
        let unconfirmed =
            PaymentIntent::new(request("amount=5&currency=usd&payment_method=pm_card_visa").unwrap());
        assert_eq!(
            (unconfirmed.status(), unconfirmed.is_charged()),
            ("requires_confirmation", false)
        );
        let without_card = PaymentIntent::new(request("amount=5&currency=usd").unwrap());
        assert_eq!(
            (without_card.status(), without_card.is_charged()),
            ("requires_payment_method", false)
        );
    }

    #[test]
    fn an_amount_that_stripe_rejects_is_rejected() {
        for (form, accepted) in [
            ("amount=500&currency=isk", true),
            ("amount=5&currency=isk", false),
            ("amount=550&currency=ugx", false),
            ("amount=5120&currency=kwd", true),
            ("amount=5124&currency=kwd", false),
            ("amount=5&currency=mga", true),
            ("amount=5&currency=xau", false),
            ("amount=5&currency=clf", false),
        ] {
            assert_eq!(request(form).is_ok(), accepted, "{form}");
        }
    }

    #[test]
    fn an_error_never_repeats_a_value_of_the_request() {
        let number = "4242424242424242";
        for form in [
            format!("amount=5&currency=usd&payment_method={number}&confirm=true"),
            format!("amount={number}&currency=usd"),
            format!("amount=5&currency={number}"),
            format!("amount=5&currency=usd&confirm={number}"),
            format!("amount=5&currency=usd&{number}=1"),
        ] {
            let error = request(&form).unwrap_err();
            assert!(!format!("{error:?}").contains(number), "{form}");
        }
    }

    #[test]
    fn metadata_beyond_the_limits_is_rejected() {
        let value = "v".repeat(500);
        assert!(request(&format!("amount=5&currency=usd&metadata[k]={value}")).is_ok());
        assert!(request(&format!("amount=5&currency=usd&metadata[k]={value}v")).is_err());
        assert!(request("amount=5&currency=usd&metadata[a][b]=1").is_err());
        assert!(request("amount=5&currency=usd&metadata[]=1").is_err());
    }
}
