//! An order's amount in Stripe's format: an integer in the currency's smallest unit. Some currencies have
//! other decimals than in ISO 4217 (<https://docs.stripe.com/currencies>); the two-decimal rule for payouts
//! in HUF and TWD does not apply to charges.

use domain::{Currency, Failure, FailureCode, Money};

/// Stripe's format of a currency.
struct Unit {
    /// Number of decimals in `amount`.
    decimals: u32,
    /// Number of these decimals that may be other than 0.
    used: u32,
}

/// The value of Stripe's `amount` parameter. An amount that Stripe cannot represent is an error: it is never
/// rounded.
pub(super) fn stripe_amount(amount: Money) -> Result<i64, Failure> {
    let currency = amount.currency();
    let iso = currency.exponent().map(u32::from);
    let (Some(iso), Some(unit)) = (iso, unit(currency)) else {
        let detail = format!("The payment gateway takes no payments in {}.", currency.code());
        return Err(rejected(detail));
    };
    let fits = match iso.checked_sub(unit.used) {
        Some(surplus) => amount.minor() % 10_i64.pow(surplus) == 0,
        None => true,
    };
    if !fits {
        let (code, used) = (currency.code(), unit.used);
        let detail = format!(
            "{amount} {code} cannot be charged: \
             the payment gateway takes {code} with {used} decimals at the most."
        );
        return Err(rejected(detail));
    }
    let scaled = match unit.decimals.checked_sub(iso) {
        Some(more) => amount.minor().checked_mul(10_i64.pow(more)),
        None => Some(amount.minor() / 10_i64.pow(iso - unit.decimals)),
    };
    scaled.ok_or_else(|| rejected("The amount is too large for the payment gateway.".to_owned()))
}

fn unit(currency: Currency) -> Option<Unit> {
    let (decimals, used) = match (currency, currency.exponent()?) {
        // No decimals today; Stripe still counts two, for backward compatibility.
        (Currency::ISK | Currency::UGX, _) => (2, 0),
        // ISO 4217 gives the ariary two decimals, but its subunit is a fifth: Stripe takes whole units.
        (Currency::MGA, _) => (0, 0),
        (_, iso @ 0..=2) => (iso.into(), iso.into()),
        // Stripe requires the third decimal to be 0.
        (_, 3) => (3, 2),
        // Units of account, which Stripe does not support.
        _ => return None,
    };
    Some(Unit { decimals, used })
}

fn rejected(detail: String) -> Failure {
    Failure::new(FailureCode::PaymentRejected, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, code: &str) -> Result<i64, String> {
        let currency = Currency::from_code(code).unwrap();
        let detail = |failure: Failure| {
            assert_eq!(failure.code, FailureCode::PaymentRejected);
            failure.detail
        };
        stripe_amount(Money::parse(text, currency).unwrap()).map_err(detail)
    }

    #[test]
    fn the_charged_amount_is_the_orders_amount_in_every_kind_of_currency() {
        for (text, code, count) in [
            ("99.99", "USD", 9_999),
            ("99999999.99", "EUR", 9_999_999_999),
            ("500", "JPY", 500),
            ("10.45", "HUF", 1_045),
            ("800.45", "TWD", 80_045),
            ("5", "ISK", 500),
            ("99999999", "UGX", 9_999_999_900),
            ("5", "MGA", 5),
            ("5.00", "MGA", 5),
            ("5.120", "KWD", 5_120),
            ("5.12", "BHD", 5_120),
        ] {
            assert_eq!(sent(text, code), Ok(count), "{text} {code}");
        }
    }

    #[test]
    fn an_amount_that_stripe_cannot_represent_is_rejected_and_not_rounded() {
        assert_eq!(
            sent("5.124", "KWD").unwrap_err(),
            "5.124 KWD cannot be charged: the payment gateway takes KWD with 2 decimals at the most."
        );
        assert_eq!(
            sent("5.20", "MGA").unwrap_err(),
            "5.20 MGA cannot be charged: the payment gateway takes MGA with 0 decimals at the most."
        );
        assert_eq!(
            sent("1.0000", "CLF").unwrap_err(),
            "The payment gateway takes no payments in CLF."
        );
    }
}
