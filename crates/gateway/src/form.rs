//! Stripe's form syntax, `amount=1500&metadata[order_id]=abc`, in a body or a query. Of a repeated parameter
//! the last value counts; an empty value counts as absent.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use url::form_urlencoded;

use crate::error::StripeError;

/// The parameters of a request, by their names as written: `metadata[order_id]` is one name.
#[derive(Debug, Hash)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, StripeError> {
        self.get(name).ok_or_else(|| StripeError::missing(name))
    }

    /// A whole number within `range`; `None` where the parameter is absent.
    pub(crate) fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, StripeError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        let message = format!("Invalid integer: {name} must be a whole number from {least} to {most}.");
        let invalid = || StripeError::parameter(name, "parameter_invalid_integer", message);
        number.ok_or_else(invalid).map(Some)
    }

    /// `true` or `false`; absent is `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, StripeError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => {
                let message = format!("Invalid boolean: {name} must be true or false.");
                Err(StripeError::invalid(message).param(name))
            }
        }
    }

    /// The values of `name[key]`, with their keys.
    pub(crate) fn map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(full, value)| {
            let key = full.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((key, value.as_str()))
        })
    }

    /// Rejects a parameter whose name, the part before `[key]`, is not in `known`: most likely a typo.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), StripeError> {
        let is_known = |full: &str| full.split('[').next().is_some_and(|name| known.contains(&name));
        if self.0.keys().all(|full| is_known(full)) {
            Ok(())
        } else {
            Err(StripeError::unknown_parameter(known))
        }
    }
}

impl FromRequest for Form {
    type Error = StripeError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, StripeError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let content_type = request.headers().get("content-type").cloned();
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let is_form = |value: &[u8]| value.starts_with(b"application/x-www-form-urlencoded");
            if content_type.is_some_and(|value| !is_form(value.as_bytes())) {
                let message = "The body must be of the type application/x-www-form-urlencoded.";
                return Err(StripeError::invalid(message));
            }
            let body = body.await.map_err(|_| StripeError::too_large())?;
            Ok(Self::parse(&body))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_names_are_read_plain_and_percent_encoded() {
        let form = Form::parse(b"amount=1500&metadata[order_id]=a+b&metadata%5Bsource%5D=caf%C3%A9");
        assert_eq!(form.get("amount"), Some("1500"));
        let metadata: Vec<_> = form.map("metadata").collect();
        assert_eq!(metadata, [("order_id", "a b"), ("source", "café")]);
    }

    #[test]
    fn an_empty_parameter_counts_as_absent_and_the_last_value_wins() {
        let form = Form::parse(b"amount=&currency=usd&currency=eur");
        assert!(form.required("amount").is_err());
        assert_eq!(form.get("currency"), Some("eur"));
    }

    #[test]
    fn numbers_and_flags_are_parsed_strictly() {
        let form = Form::parse(b"a=15&b=1e3&c=0&d=yes&e=true&f=-1");
        assert_eq!(form.integer("a", 1..=100).unwrap(), Some(15));
        for bad in ["b", "c", "f"] {
            assert!(form.integer(bad, 1..=100).is_err(), "{bad}");
        }
        assert!(form.flag("d").is_err());
        assert!(form.flag("e").unwrap());
        assert!(!form.flag("absent").unwrap());
    }

    #[test]
    fn an_unknown_parameter_is_rejected() {
        let form = Form::parse(b"amount=1&metadata[x]=1");
        assert!(form.only(&["amount", "metadata"]).is_ok());
        assert!(form.only(&["amount"]).is_err());
    }
}
