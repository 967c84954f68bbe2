//! Who calls, and what they may do. A handler names the scope that it needs by the type of its caller, so none can forget to ask.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::CustomerId;
use futures_util::future::LocalBoxFuture;

use crate::auth::Refusal;
use crate::problem::Problem;
use crate::rate_limit::Client;
use crate::state::AppState;

/// A token with this scope may do everything, to everybody's orders.
const ADMIN: &str = "orders:admin";

/// A scope that a handler needs.
pub(crate) trait Scope: 'static {
    const NAME: &'static str;
}

/// To see orders.
pub(crate) struct Read;
/// To create and cancel orders.
pub(crate) struct Write;
/// To do what only an operator may.
pub(crate) struct Admin;

impl Scope for Read {
    const NAME: &'static str = "orders:read";
}

impl Scope for Write {
    const NAME: &'static str = "orders:write";
}

impl Scope for Admin {
    const NAME: &'static str = ADMIN;
}

/// The customer behind a request, who has the scope. Without authentication, everybody is the one anonymous customer.
pub(crate) struct Caller<S> {
    customer: CustomerId,
    admin: bool,
    scope: PhantomData<S>,
}

impl<S: Scope> Caller<S> {
    /// Whose orders this caller creates.
    pub(crate) fn customer(&self) -> &CustomerId {
        &self.customer
    }

    /// Whose orders this caller sees: `None` for everybody's.
    pub(crate) fn sees(&self) -> Option<&CustomerId> {
        (!self.admin).then_some(&self.customer)
    }

    async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(state) = request.app_data::<Data<AppState>>() else {
            return Err(Refusal::Unknown.into());
        };
        let claims = state.authenticator.claims(request).await;
        if let Some(limit) = &state.rate_limit {
            limit.count(
                request,
                match &claims {
                    Ok(Some(claims)) => Client::Customer(claims.customer.clone()),
                    _ => Client::address(request),
                },
            )?;
        }
        let (customer, admin) = match claims? {
            None => (CustomerId::anonymous(), false),
            Some(claims) if claims.has(ADMIN) => (claims.customer, true),
            Some(claims) if claims.has(S::NAME) => (claims.customer, false),
            Some(_) => return Err(Refusal::Scope(S::NAME).into()),
        };
        Ok(Self {
            customer,
            admin,
            scope: PhantomData,
        })
    }
}

impl<S: Scope> FromRequest for Caller<S> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}
