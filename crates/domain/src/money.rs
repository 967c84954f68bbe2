//! An exact amount of one currency, stored as a count of its minor units (cents for USD, yen for JPY). Never
//! a float: a JSON number is read by its shortest decimal text.

use std::fmt;
use std::str::FromStr;

use iso_currency::Currency;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// The largest amount, in major units, for messages; `MAX_MAJOR_HUNDREDTHS` is for comparing.
const MAX_TEXT: &str = "99999999.99";
const MAX_MAJOR_HUNDREDTHS: i64 = 9_999_999_999;
/// No ISO 4217 currency divides its unit further than 10^-4.
const MAX_EXPONENT: u32 = 4;

/// A positive or zero amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why a text is not an amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not decimal digits with at most one point.
    #[error("`{0}` is not a decimal amount such as 99.99")]
    NotDecimal(String),
    /// Zero or negative.
    #[error("an amount is more than 0")]
    NotPositive,
    /// Above the largest amount.
    #[error("an amount is at most {MAX_TEXT}")]
    TooLarge,
    /// More decimals than the currency has.
    #[error("{currency} has {exponent} decimals, got {got}")]
    TooManyDecimals {
        /// ISO 4217 code.
        currency: &'static str,
        /// The currency's number of decimals.
        exponent: u32,
        /// The number of decimals in the text.
        got: u32,
    },
    /// An ISO 4217 code that cannot be paid in (gold, testing codes).
    #[error("{0} has no minor unit, so nothing can be paid in it")]
    NoMinorUnit(&'static str),
}

impl Money {
    /// Parses text such as `99.99`: above 0, at most 99999999.99, with at most the currency's decimals.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let exponent = exponent_of(currency)?;
        let decimal = Decimal::from_str(text)?;
        if decimal.negative {
            return Err(MoneyError::NotPositive);
        }
        if decimal.decimals > exponent {
            return Err(MoneyError::TooManyDecimals {
                currency: currency.code(),
                exponent,
                got: decimal.decimals,
            });
        }
        let minor = decimal.scaled_to(exponent).ok_or(MoneyError::TooLarge)?;
        if minor == 0 {
            return Err(MoneyError::NotPositive);
        }
        Self { minor, currency }.checked()
    }

    /// A stored amount: `minor` minor units, 0 or more.
    pub fn from_minor(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        exponent_of(currency)?;
        if minor < 0 {
            return Err(MoneyError::NotPositive);
        }
        Ok(Self { minor, currency })
    }

    /// The count of ISO 4217 minor units, for storage. A payment gateway may count in other units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency, which fixes the number of decimals.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// `quantity` times this amount; an error above the largest amount.
    pub fn times(self, quantity: u32) -> Result<Self, MoneyError> {
        let minor = self
            .minor
            .checked_mul(i64::from(quantity))
            .ok_or(MoneyError::TooLarge)?;
        Self { minor, ..self }.checked()
    }

    /// The sum with an amount of the same currency; an error above the largest amount.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?;
        Self { minor, ..self }.checked()
    }

    /// Whether this is more than `threshold` major units.
    pub fn exceeds(self, threshold: Threshold) -> bool {
        let unit = MAX_EXPONENT.saturating_sub(self.exponent());
        i128::from(self.minor) * 10_i128.pow(unit) > i128::from(threshold.ten_thousandths)
    }

    /// The amount in major units for telemetry, where attributes are doubles. Never compute with it.
    pub fn to_f64_for_telemetry(self) -> f64 {
        // The decimal text of at most 12 digits is exactly what a double prints back.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    fn exponent(self) -> u32 {
        exponent_of(self.currency).unwrap_or(0)
    }

    fn checked(self) -> Result<Self, MoneyError> {
        let hundredths = i128::from(self.minor) * 100;
        let max = i128::from(MAX_MAJOR_HUNDREDTHS) * 10_i128.pow(self.exponent());
        if hundredths > max {
            return Err(MoneyError::TooLarge);
        }
        Ok(self)
    }
}

/// The major units with all decimals of the currency: `99.90`, or `100` in yen.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.exponent();
        let unit = 10_i64.pow(exponent);
        let (major, minor) = (self.minor / unit, self.minor % unit);
        if exponent == 0 {
            return write!(f, "{major}");
        }
        let width = usize::try_from(exponent).unwrap_or(0);
        write!(f, "{major}.{minor:0width$}")
    }
}

/// An amount as a client sent it, decimal text or a JSON number, without its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AmountText(String);

impl AmountText {
    /// The text as received; for a number, its shortest decimal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AmountText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for AmountText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl Visitor<'_> for TextOrNumber {
            type Value = AmountText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount: decimal text or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AmountText, E> {
                Ok(AmountText(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<AmountText, E> {
                Ok(AmountText(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<AmountText, E> {
                Ok(AmountText(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<AmountText, E> {
                Ok(AmountText(number.to_string()))
            }
        }

        deserializer.deserialize_any(TextOrNumber)
    }
}

/// A limit in major units of an order's currency, such as `HIGH_VALUE_THRESHOLD=1000`; at most 4 decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    ten_thousandths: i64,
}

impl Threshold {
    /// A threshold of whole major units.
    pub fn from_major(units: u32) -> Self {
        Self {
            ten_thousandths: i64::from(units) * 10_000,
        }
    }
}

/// 1000 major units.
impl Default for Threshold {
    fn default() -> Self {
        Self::from_major(1000)
    }
}

impl FromStr for Threshold {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let decimal = Decimal::from_str(text)?;
        if decimal.negative {
            return Err(MoneyError::NotPositive);
        }
        let ten_thousandths = decimal.scaled_to(MAX_EXPONENT).ok_or(MoneyError::TooLarge)?;
        Ok(Self { ten_thousandths })
    }
}

/// `digits` times 10 to the power of minus `decimals`.
struct Decimal {
    negative: bool,
    digits: i64,
    decimals: u32,
}

impl Decimal {
    /// As a whole number of 10^-`exponent`; `None` if digits would be lost or do not fit.
    fn scaled_to(&self, exponent: u32) -> Option<i64> {
        let zeros = exponent.checked_sub(self.decimals)?;
        self.digits.checked_mul(10_i64.checked_pow(zeros)?)
    }
}

impl FromStr for Decimal {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_decimal = || MoneyError::NotDecimal(text.chars().take(32).collect());
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(not_decimal());
        }
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        let decimals = u32::try_from(fraction.len()).map_err(|_| not_decimal())?;
        let joined = format!("0{whole}{fraction}");
        // i64 exceeds the largest amount by far: digits that do not fit are too large or not an amount.
        let digits = joined.parse().map_err(|_| {
            if whole.len() > fraction.len() {
                MoneyError::TooLarge
            } else {
                not_decimal()
            }
        })?;
        Ok(Self {
            negative,
            digits,
            decimals,
        })
    }
}

fn exponent_of(currency: Currency) -> Result<u32, MoneyError> {
    currency
        .exponent()
        .map(u32::from)
        .ok_or(MoneyError::NoMinorUnit(currency.code()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact_in_the_currencys_own_decimals() {
        assert_eq!(Money::parse("99.99", Currency::USD).unwrap().minor(), 9999);
        assert_eq!(Money::parse("100", Currency::JPY).unwrap().minor(), 100);
        assert_eq!(Money::parse("1.234", Currency::BHD).unwrap().minor(), 1234);
        assert_eq!(Money::parse("1.500", Currency::USD).unwrap().to_string(), "1.50");
    }

    #[test]
    fn an_amount_that_cannot_be_paid_is_rejected_with_its_reason() {
        let parse = |text| Money::parse(text, Currency::USD).unwrap_err();
        assert_eq!(parse("0"), MoneyError::NotPositive);
        assert_eq!(parse("0.00"), MoneyError::NotPositive);
        assert_eq!(parse("-5"), MoneyError::NotPositive);
        assert_eq!(parse("100000000"), MoneyError::TooLarge);
        assert_eq!(parse("99999999999999999999999999"), MoneyError::TooLarge);
        assert!(matches!(
            parse("1.005"),
            MoneyError::TooManyDecimals { got: 3, .. }
        ));
        for text in ["", ".", "1.", ".5", "1e5", "NaN", "inf", "1,00", " 1", "+1", "１"] {
            assert!(matches!(parse(text), MoneyError::NotDecimal(_)), "{text}");
        }
        assert!(matches!(
            Money::parse("1", Currency::XAU),
            Err(MoneyError::NoMinorUnit("XAU"))
        ));
    }

    #[test]
    fn the_largest_amount_is_the_same_in_every_currency() {
        assert!(Money::parse("99999999.99", Currency::USD).is_ok());
        assert!(Money::parse("99999999", Currency::JPY).is_ok());
        assert!(Money::parse("99999999.99", Currency::BHD).is_ok());
        assert_eq!(
            Money::parse("99999999.991", Currency::BHD),
            Err(MoneyError::TooLarge)
        );
    }

    #[test]
    fn a_json_number_means_the_decimal_a_person_wrote() {
        let read = |json: &str| serde_json::from_str::<AmountText>(json).unwrap();
        assert_eq!(read("99.99").as_str(), "99.99");
        assert_eq!(read("100").as_str(), "100");
        assert_eq!(read("\"7.10\"").as_str(), "7.10");
    }

    #[test]
    fn the_threshold_itself_is_not_exceeded() {
        let threshold: Threshold = "1000".parse().unwrap();
        let money = |text| Money::parse(text, Currency::USD).unwrap();
        assert!(!money("1000").exceeds(threshold));
        assert!(money("1000.01").exceeds(threshold));
        assert!(Money::parse("1001", Currency::JPY).unwrap().exceeds(threshold));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(minor in 1_i64..9_999_999_999) {
            let money = Money::from_minor(minor, Currency::USD).unwrap();
            prop_assert_eq!(Money::parse(&money.to_string(), Currency::USD), Ok(money));
            prop_assert_eq!(format!("{:.2}", money.to_f64_for_telemetry()), money.to_string());
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Money::parse(&text, Currency::USD);
        }
    }
}
