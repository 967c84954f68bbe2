//! The filters of a list, from its query, and of a bulk operation, from its body.

use chrono::{DateTime, Utc};
use domain::{CustomerId, FailureCode, OrderStatus, PaymentStatus};
use serde::Deserialize;
use store::OrderFilter;

use crate::auth::AuthError;
use crate::caller::{Admin, Caller, Scope};
use crate::problem::{FieldErrors, Problem};

const CUSTOMER: &str = "a customer's id";
const TIME: &str = "a time such as 2026-01-31T12:00:00Z (RFC 3339)";
const CODE: &str = "a failure code such as card_declined";

/// The filters as they are sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) status: Option<String>,
    pub(crate) payment_status: Option<String>,
    pub(crate) failure_code: Option<String>,
    pub(crate) created_after: Option<String>,
    pub(crate) created_before: Option<String>,
    pub(crate) customer: Option<String>,
}

impl Filter {
    /// The filter with these values, by the names of its fields.
    pub(crate) fn of(mut value: impl FnMut(&'static str) -> Option<String>) -> Self {
        Self {
            status: value("status"),
            payment_status: value("payment_status"),
            failure_code: value("failure_code"),
            customer: value("customer"),
            created_after: value("created_after"),
            created_before: value("created_before"),
        }
    }

    /// The names and values of the fields that are present.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("status", &self.status),
            ("payment_status", &self.payment_status),
            ("failure_code", &self.failure_code),
            ("customer", &self.customer),
            ("created_after", &self.created_after),
            ("created_before", &self.created_before),
        ];
        fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// The value of a field, if it is present.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields()
            .find_map(|(field, value)| (field == name).then_some(value))
    }
}

/// The filter of a query. The first invalid parameter is an error. A customer sees only its own orders.
pub(crate) fn of_query<S: Scope>(filter: Filter, caller: &Caller<S>) -> Result<OrderFilter, Problem> {
    let chooses_customer = filter.customer.is_some();
    let mut filter = read(filter, |name, takes| {
        Err(Problem::bad_request(format!("`{name}` takes {takes}.")))
    })?;
    if !chooses_customer {
        filter.customer = caller.owner_filter().cloned();
    } else if !caller.may_choose_customer() {
        return Err(AuthError::MissingScope(Admin::NAME).into());
    }
    Ok(filter)
}

/// The filter of an operator, who sees all orders. The first invalid field is an error.
pub(crate) fn of_operator(filter: Filter) -> Result<OrderFilter, Problem> {
    read(filter, |name, takes| {
        Err(Problem::bad_request(format!("`{name}` takes {takes}.")))
    })
}

/// The filter of a body. All invalid members are errors.
pub(crate) fn of_body(filter: Filter, errors: &mut FieldErrors) -> OrderFilter {
    let read = read(filter, |name, takes| {
        errors.add(&format!("/{name}"), &format!("takes {takes}"));
        Ok::<(), std::convert::Infallible>(())
    });
    read.unwrap_or_default()
}

fn read<E>(filter: Filter, mut invalid: impl FnMut(&str, &str) -> Result<(), E>) -> Result<OrderFilter, E> {
    let invalid = &mut invalid;
    let (statuses, payment_statuses) = (one_of(OrderStatus::ALL), one_of(PaymentStatus::ALL));
    let customer = |text: &str| CustomerId::new(text).ok();
    Ok(OrderFilter {
        status: valid(filter.status, "status", &statuses, invalid, parsed)?,
        payment_status: valid(
            filter.payment_status,
            "payment_status",
            &payment_statuses,
            invalid,
            parsed,
        )?,
        failure_code: valid(filter.failure_code, "failure_code", CODE, invalid, failure_code)?,
        created_after: valid(filter.created_after, "created_after", TIME, invalid, time)?,
        created_before: valid(filter.created_before, "created_before", TIME, invalid, time)?,
        customer: valid(filter.customer, "customer", CUSTOMER, invalid, customer)?,
    })
}

fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// The value of one filter, if it is present and valid.
fn valid<T, E>(
    text: Option<String>,
    name: &str,
    takes: &str,
    invalid: &mut impl FnMut(&str, &str) -> Result<(), E>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, E> {
    let Some(text) = text else {
        return Ok(None);
    };
    let value = parse(&text);
    if value.is_none() {
        invalid(name, takes)?;
    }
    Ok(value)
}

fn one_of(words: &[impl std::fmt::Display]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    format!("one of {}", words.join(", "))
}

/// A newer version may have codes that this one does not know.
fn failure_code(text: &str) -> Option<FailureCode> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let valid = (1..=64).contains(&text.len()) && text.bytes().all(is_word);
    valid.then(|| text.to_owned().into())
}

/// A date and time of a year from 0 to 9999.
fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
