//! The parameters of the requests that create, confirm and cancel a payment intent.

use iso_currency::Currency;

use crate::cards::Card;
use crate::error::StripeError;
use crate::form::Form;

/// In minor units. Stripe accepts 12 digits for some currencies; the sandbox accepts them for all, because
/// the largest amount of an order has 11.
const MAX_AMOUNT: i64 = 999_999_999_999;

/// Stripe's parameters that the sandbox reads or ignores, by endpoint; any other is rejected as a typo.
const CREATE: &[&str] = &[
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

const CONFIRM: &[&str] = &[
    "capture_method",
    "error_on_requires_action",
    "expand",
    "off_session",
    "payment_method",
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "use_stripe_sdk",
];

const CANCEL: &[&str] = &["cancellation_reason", "expand"];

const CANCELLATION_REASONS: [&str; 4] = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];

/// `POST /v1/payment_intents`. <https://docs.stripe.com/api/payment_intents/create>
#[derive(Debug)]
pub(crate) struct CreateIntent {
    /// In minor units, more than 0.
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) card: Option<&'static Card>,
    /// Whether the card is charged at once.
    pub(crate) confirm: bool,
    pub(crate) metadata: Metadata,
}

/// `POST /v1/payment_intents/{id}/confirm`. <https://docs.stripe.com/api/payment_intents/confirm>
#[derive(Debug)]
pub(crate) struct ConfirmIntent {
    /// Replaces the intent's card.
    pub(crate) card: Option<&'static Card>,
}

/// `POST /v1/payment_intents/{id}/cancel`. <https://docs.stripe.com/api/payment_intents/cancel>
#[derive(Debug)]
pub(crate) struct CancelIntent {
    pub(crate) reason: Option<&'static str>,
}

/// The client's key-value pairs, sorted by key.
#[derive(Debug)]
pub(crate) struct Metadata(Vec<(Box<str>, Box<str>)>);

impl CreateIntent {
    pub(crate) fn from_form(form: &Form) -> Result<Self, StripeError> {
        form.only(CREATE)?;
        let amount = form.integer("amount", 1..=MAX_AMOUNT)?;
        let amount = amount.ok_or_else(|| StripeError::missing("amount"))?;
        let currency = currency(form.required("currency")?)?;
        check_step(amount, currency)?;
        let request = Self {
            amount,
            currency,
            card: card(form)?,
            confirm: form.flag("confirm")?,
            metadata: Metadata::from_form(form)?,
        };
        if request.confirm && request.card.is_none() {
            return Err(StripeError::missing("payment_method"));
        }
        Ok(request)
    }
}

impl ConfirmIntent {
    pub(crate) fn from_form(form: &Form) -> Result<Self, StripeError> {
        form.only(CONFIRM)?;
        Ok(Self { card: card(form)? })
    }
}

impl CancelIntent {
    pub(crate) fn from_form(form: &Form) -> Result<Self, StripeError> {
        form.only(CANCEL)?;
        let reason = form.get("cancellation_reason").map(|reason| {
            let known = CANCELLATION_REASONS.iter().find(|known| **known == reason);
            known.copied().ok_or_else(|| {
                let message = format!(
                    "Invalid cancellation_reason: one of {}.",
                    CANCELLATION_REASONS.join(", ")
                );
                StripeError::invalid(message).param("cancellation_reason")
            })
        });
        Ok(Self {
            reason: reason.transpose()?,
        })
    }
}

impl Metadata {
    /// Stripe's limits: 50 keys of up to 40 characters, values of up to 500.
    /// <https://docs.stripe.com/api/metadata>
    fn from_form(form: &Form) -> Result<Self, StripeError> {
        let pairs: Vec<_> = form.map("metadata").collect();
        let fits = |(key, value): &(&str, &str)| {
            let plain = !key.is_empty() && !key.contains(['[', ']']);
            plain && key.chars().count() <= 40 && value.chars().count() <= 500
        };
        if pairs.len() <= 50 && pairs.iter().all(fits) {
            return Ok(Self(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect(),
            ));
        }
        let message = "Metadata has up to 50 keys of up to 40 characters, without square brackets, and values of up to 500.";
        Err(StripeError::invalid(message).param("metadata"))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
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

/// The test card that `payment_method` names.
fn card(form: &Form) -> Result<Option<&'static Card>, StripeError> {
    let Some(token) = form.get("payment_method") else {
        return Ok(None);
    };
    Card::of(token).map(Some).ok_or_else(|| {
        let message =
            "No such PaymentMethod: the sandbox accepts Stripe's test tokens only, such as pm_card_visa.";
        StripeError::parameter("payment_method", "resource_missing", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(form: &str) -> Result<CreateIntent, StripeError> {
        CreateIntent::from_form(&Form::parse(form.as_bytes()))
    }

    #[test]
    fn a_cancellation_reason_is_one_of_stripes() {
        let cancel = |form: &str| CancelIntent::from_form(&Form::parse(form.as_bytes()));
        let abandoned = cancel("cancellation_reason=abandoned").unwrap();
        assert_eq!(abandoned.reason, Some("abandoned"));
        assert_eq!(cancel("").unwrap().reason, None);
        assert!(cancel("cancellation_reason=bored").is_err());
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
