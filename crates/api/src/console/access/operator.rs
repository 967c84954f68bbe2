//! The operator that sends a request, and what it needs.

use std::marker::PhantomData;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::{Actor, CustomerId};
use futures_util::future::LocalBoxFuture;
use store::{Session, SessionHash};
use subtle::ConstantTimeEq;

use super::cookie;
use crate::auth::AuthError;
use crate::caller::{Admin, Scope};
use crate::problem::Problem;
use crate::rate_limit;
use crate::state::AppState;

/// What a request needs.
pub(crate) trait Permission: 'static {
    /// Whether it changes something.
    const ACTS: bool;
}

/// Pages that only show.
pub(crate) struct Look;
/// Pages and forms that change something.
pub(crate) struct Act;

impl Permission for Look {
    const ACTS: bool = false;
}

impl Permission for Act {
    const ACTS: bool = true;
}

/// An operator with the permission `P`. Without authentication, which only a service in development has,
/// every request is from an anonymous one that may do everything.
#[derive(Debug, Clone)]
pub(crate) struct Operator<P> {
    subject: CustomerId,
    session: Option<(SessionHash, Session)>,
    permission: PhantomData<P>,
}

impl<P> Operator<P> {
    pub(crate) fn subject(&self) -> &CustomerId {
        &self.subject
    }

    /// For histories and the audit trail.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Operator(self.subject.as_str().to_owned())
    }

    pub(crate) fn may_act(&self) -> bool {
        let mut scopes = self.session.iter().map(|(_, session)| session.scope.as_str());
        scopes.all(|scope| scope == Admin::NAME)
    }

    /// The secret of the session's forms; empty without authentication.
    pub(crate) fn csrf(&self) -> &str {
        self.session.as_ref().map_or("", |(_, session)| &session.csrf)
    }

    /// 403 unless a form has the session's secret.
    pub(super) fn check_csrf(&self, value: &str) -> Result<(), Problem> {
        if self.csrf().as_bytes().ct_eq(value.as_bytes()).into() {
            return Ok(());
        }
        let detail = "The form is of another session, and changed nothing. Reload the page and try again.";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// The session, and how long it lasts; `None` without authentication.
    pub(crate) fn session(&self) -> Option<(SessionHash, Duration)> {
        let session = self.session.as_ref();
        session.map(|(hash, session)| (*hash, session.lifetime))
    }

    /// The customer that limits count; `None` without authentication.
    pub(crate) fn limited(&self) -> Option<&CustomerId> {
        self.session.is_some().then_some(&self.subject)
    }
}

impl<P: Permission> Operator<P> {
    pub(super) async fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(state) = request.app_data::<Data<AppState>>() else {
            return Err(AuthError::KeysUnavailable.into());
        };
        if state.authenticator.is_off() {
            return Ok(Self::with(CustomerId::anonymous(), None));
        }
        let counted = rate_limit::count_early(request)?;
        let Some((hash, session, subject)) = find(request, state).await? else {
            if !counted {
                rate_limit::count_address(request)?;
            }
            return Err(AuthError::NoToken.into());
        };
        rate_limit::count_customer(request, &subject, counted).await?;
        let operator = Self::with(subject, Some((hash, session)));
        if P::ACTS && !operator.may_act() {
            let error = AuthError::MissingScope(Admin::NAME);
            state.authenticator.record_failure(error, request);
            return Err(error.into());
        }
        Ok(operator)
    }

    fn with(subject: CustomerId, session: Option<(SessionHash, Session)>) -> Self {
        Self {
            subject,
            session,
            permission: PhantomData,
        }
    }
}

async fn find(
    request: &HttpRequest,
    state: &AppState,
) -> Result<Option<(SessionHash, Session, CustomerId)>, Problem> {
    let Some(hash) = cookie::session_of(request, state.console.secure) else {
        return Ok(None);
    };
    let session = state.store.session(&hash).await?;
    Ok(session.and_then(|session| {
        let subject = CustomerId::new(session.subject.as_str()).ok()?;
        Some((hash, session, subject))
    }))
}

impl<P: Permission> FromRequest for Operator<P> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}
