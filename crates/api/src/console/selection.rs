//! The filters of orders as a form sends them, and as a path keeps them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::OrderFilter;

use crate::filter::{self, Filter};
use crate::problem::Problem;

/// The fields of the form; absent or empty ones match all orders.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Selection {
    pub(super) status: Option<String>,
    pub(super) payment_status: Option<String>,
    pub(super) failure_code: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) created_after: Option<String>,
    pub(super) created_before: Option<String>,
}

impl Selection {
    /// The fields of a form.
    pub(super) fn of<'a>(field: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let field = |name| field(name).map(str::to_owned);
        let selection = Self {
            status: field("status"),
            payment_status: field("payment_status"),
            failure_code: field("failure_code"),
            customer: field("customer"),
            created_after: field("created_after"),
            created_before: field("created_before"),
        };
        selection.without_empty()
    }

    /// An empty field of a form is as one that is absent.
    pub(super) fn without_empty(self) -> Self {
        let given = |field: Option<String>| field.filter(|text| !text.is_empty());
        Self {
            status: given(self.status),
            payment_status: given(self.payment_status),
            failure_code: given(self.failure_code),
            customer: given(self.customer),
            created_after: given(self.created_after),
            created_before: given(self.created_before),
        }
    }

    /// The names and values of the fields that are present.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let fields = [
            ("status", &self.status),
            ("payment_status", &self.payment_status),
            ("failure_code", &self.failure_code),
            ("customer", &self.customer),
            ("created_after", &self.created_after),
            ("created_before", &self.created_before),
        ];
        let present = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        present.collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields().is_empty()
    }

    /// Whether the field has this value, for the options of a form.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.fields().contains(&(name, value))
    }

    /// Whether it may match orders of this status.
    pub(super) fn allows(&self, status: &str) -> bool {
        self.status.as_deref().is_none_or(|own| own == status)
    }

    /// The value of a field for a form; empty if it is absent.
    pub(super) fn value(&self, name: &str) -> &str {
        let fields = self.fields();
        fields
            .iter()
            .find(|(field, _)| *field == name)
            .map_or("", |(_, value)| value)
    }

    /// This path with the fields as its query.
    pub(super) fn link(&self, path: &str) -> String {
        self.path(path, &[])
    }

    /// This path with the fields and others as its query.
    pub(super) fn path(&self, path: &str, others: &[(&str, &str)]) -> String {
        let fields = self.fields();
        let pairs = fields.iter().chain(others);
        let query: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    /// What the fields say, for the store.
    pub(super) fn orders(&self) -> Result<OrderFilter, Problem> {
        filter::of_operator(Filter {
            status: self.status.clone(),
            payment_status: self.payment_status.clone(),
            failure_code: self.failure_code.clone(),
            created_after: self.created_after.as_deref().map(in_utc),
            created_before: self.created_before.as_deref().map(in_utc),
            customer: self.customer.clone(),
        })
    }
}

/// A browser's `datetime-local` field has no zone, and may have no seconds.
fn in_utc(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_the_fields_that_are_present() {
        let selection = Selection {
            status: Some("failed".to_owned()),
            customer: Some("a&b=<c>".to_owned()),
            failure_code: Some(String::new()),
            ..Selection::default()
        };
        let selection = selection.without_empty();
        assert_eq!(
            selection.path("/orders", &[("cursor", "x")]),
            "/orders?status=failed&customer=a%26b%3D%3Cc%3E&cursor=x"
        );
        assert!(selection.has("status", "failed") && !selection.has("status", "pending"));
        assert_eq!(Selection::default().path("/orders", &[]), "/orders");
    }

    #[test]
    fn a_local_time_of_a_form_is_utc() {
        assert_eq!(in_utc("2026-01-31T12:00"), "2026-01-31T12:00:00Z");
        assert_eq!(in_utc("2026-01-31T12:00:05"), "2026-01-31T12:00:05Z");
        assert_eq!(in_utc("2026-01-31T12:00:05+01:00"), "2026-01-31T12:00:05+01:00");
    }
}
