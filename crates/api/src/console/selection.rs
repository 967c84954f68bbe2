//! The filters of orders as a form sends them, and as a path keeps them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::OrderFilter;

use crate::filter::{self, Filter};
use crate::problem::Problem;

/// The fields of the form. Those that are absent or empty match all orders.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Selection(Filter);

impl Selection {
    /// The fields of a form.
    pub(super) fn of<'a>(field: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        let given = |name| field(name).filter(|text| !text.is_empty());
        Self(Filter::of(|name| given(name).map(str::to_owned)))
    }

    /// An empty field of a form is as one that is absent.
    pub(super) fn without_empty(self) -> Self {
        Self::of(|name| self.0.value(name))
    }

    /// The names and values of the fields that are present.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.fields()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields().next().is_none()
    }

    /// Whether the field has this value, for the options of a form.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.0.value(name) == Some(value)
    }

    /// Whether it may match orders of this status.
    pub(super) fn allows(&self, status: &str) -> bool {
        self.0.value("status").is_none_or(|own| own == status)
    }

    /// The value of a field for a form; empty if it is absent.
    pub(super) fn value(&self, name: &str) -> &str {
        self.0.value(name).unwrap_or_default()
    }

    /// This path with the fields as its query.
    pub(super) fn link(&self, path: &str) -> String {
        self.path(path, &[])
    }

    /// This path with the fields and others as its query.
    pub(super) fn path(&self, path: &str, others: &[(&str, &str)]) -> String {
        let pair =
            |(name, value): (&str, &str)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        let others = others.iter().copied().map(pair);
        let query: Vec<String> = self.fields().map(pair).chain(others).collect();
        if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    /// What the fields say, for the store.
    pub(super) fn orders(&self) -> Result<OrderFilter, Problem> {
        filter::of_operator(Filter {
            created_after: self.0.created_after.as_deref().map(in_utc),
            created_before: self.0.created_before.as_deref().map(in_utc),
            ..self.0.clone()
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
        let selection = Selection(Filter {
            status: Some("failed".to_owned()),
            customer: Some("a&b=<c>".to_owned()),
            failure_code: Some(String::new()),
            ..Filter::default()
        });
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
