//! The caller of a request and the permission that its handler needs. A handler takes a `Caller<Scope>`, so
//! the check cannot be forgotten.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::{Actor, CustomerId};
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::auth::{AuthError, Claims};
use crate::problem::Problem;
use crate::rate_limit;
use crate::state::AppState;

/// A scope that a handler needs.
pub(crate) trait Scope: 'static {
    const NAME: &'static str;
    /// Whether the handler changes nothing: `orders:observe` suffices then.
    const READS: bool = false;
}

/// May read its own orders.
pub(crate) struct Read;
/// May create orders and cancel its own.
pub(crate) struct Write;
/// An operator who may look at the orders of all customers, and change nothing.
pub(crate) struct Observe;
/// An operator: includes all other scopes, for the orders of all customers.
pub(crate) struct Admin;

impl Scope for Read {
    const NAME: &'static str = "orders:read";
    const READS: bool = true;
}

impl Scope for Write {
    const NAME: &'static str = "orders:write";
}

impl Scope for Observe {
    const NAME: &'static str = "orders:observe";
    const READS: bool = true;
}

impl Scope for Admin {
    const NAME: &'static str = "orders:admin";
}

/// The customer that sends a request, with the scope `S`. Without authentication, all requests are from one
/// anonymous customer.
pub(crate) struct Caller<S> {
    customer: CustomerId,
    admin: bool,
    /// Sees the orders of all customers.
    sees_all: bool,
    /// When the token expires; `None` without authentication.
    expires_at: Option<Instant>,
    scope: PhantomData<S>,
}

impl<S: Scope> Caller<S> {
    /// The owner of the orders that this caller creates.
    pub(crate) fn customer(&self) -> &CustomerId {
        &self.customer
    }

    /// The owner of the orders that this caller may access; `None` for an operator, who may access all.
    pub(crate) fn owner_filter(&self) -> Option<&CustomerId> {
        (!self.sees_all).then_some(&self.customer)
    }

    /// Whether it may name the customer whose orders it wants to see. Without authentication all may.
    pub(crate) fn may_choose_customer(&self) -> bool {
        self.sees_all || self.expires_at.is_none()
    }

    /// Whose action it is, for the audit trail and the order's history.
    pub(crate) fn actor(&self) -> Actor {
        if self.admin {
            Actor::Operator(self.customer.as_str().to_owned())
        } else {
            Actor::Customer(self.customer.clone())
        }
    }

    /// The customer that limits count; `None` without authentication, where all requests are from one.
    pub(crate) fn limited(&self) -> Option<&CustomerId> {
        self.expires_at.is_some().then_some(&self.customer)
    }

    /// Ends when the token expires.
    pub(crate) fn expired(&self) -> impl Future<Output = ()> + use<S> {
        let expires_at = self.expires_at;
        async move {
            match expires_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        }
    }

    async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(state) = request.app_data::<Data<AppState>>() else {
            return Err(AuthError::KeysUnavailable.into());
        };
        let counted = rate_limit::count_early(request)?;
        let claims = state.authenticator.claims(request).await;
        match &claims {
            Ok(Some(claims)) => rate_limit::count_customer(request, &claims.customer, counted).await?,
            _ if counted => {}
            _ => rate_limit::count_address(request)?,
        }
        let caller = claims.and_then(Self::with);
        if let Err(error) = &caller {
            state.authenticator.record_failure(*error, request);
        }
        Ok(caller?)
    }

    fn with(claims: Option<Claims>) -> Result<Self, AuthError> {
        let (customer, admin, sees_all, expires_at) = match claims {
            None => (CustomerId::anonymous(), false, false, None),
            Some(claims) => {
                let admin = claims.has(Admin::NAME);
                let sees_all = admin || S::READS && claims.has(Observe::NAME);
                if !sees_all && !claims.has(S::NAME) {
                    return Err(AuthError::MissingScope(S::NAME));
                }
                (claims.customer, admin, sees_all, Some(claims.expires_at))
            }
        };
        Ok(Self {
            customer,
            admin,
            sees_all,
            expires_at,
            scope: PhantomData,
        })
    }
}

impl Caller<Admin> {
    /// For the history of what only operators do, also without authentication.
    pub(crate) fn operator(&self) -> Actor {
        Actor::Operator(self.customer.as_str().to_owned())
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
