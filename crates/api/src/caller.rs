//! Who calls, and which orders they may see.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::CustomerId;

/// The customer behind a request. Without authentication, everybody is the one anonymous customer.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    customer: CustomerId,
}

impl Caller {
    /// Whose orders this caller creates.
    pub(crate) fn customer(&self) -> &CustomerId {
        &self.customer
    }

    /// Whose orders this caller sees: `None` for everybody's.
    pub(crate) fn sees(&self) -> Option<&CustomerId> {
        Some(&self.customer)
    }
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self {
            customer: CustomerId::anonymous(),
        }))
    }
}
