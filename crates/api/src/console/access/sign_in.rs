//! A token is exchanged for a session, so that no page and no script holds the token.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;
use store::{Session, SessionHash};
use tokio::time::Instant;

use super::cookie;
use crate::auth::{AuthError, Claims};
use crate::caller::{Admin, Observe, Scope};
use crate::problem::Problem;
use crate::rate_limit;
use crate::seconds;
use crate::state::AppState;

/// A session ends after this time, or with its token if that ends earlier.
const MAX_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Name of the event.
const SESSION_STARTED: &str = "console.session_started";

/// Begins a session for a token with a scope of operators; the header that sets its cookie.
pub(crate) async fn begin_session(
    state: &AppState,
    request: &HttpRequest,
    token: &str,
) -> Result<Option<HeaderValue>, Problem> {
    let counted = rate_limit::count_early(request)?;
    let claims = state.authenticator.verify(token).await;
    let granted = claims.and_then(|claims| claims.map(|claims| granted(&claims)).transpose());
    let session = match granted {
        Ok(Some(session)) => session,
        // Authentication is off.
        Ok(None) => return Ok(None),
        Err(error) => {
            if !counted {
                rate_limit::count_address(request)?;
            }
            state.authenticator.record_failure(error, request);
            return Err(error.into());
        }
    };
    let id = cookie::random()?;
    let session = Session {
        csrf: cookie::random()?,
        ..session
    };
    state.store.create_session(&cookie::hash(&id), &session).await?;
    let actor = format!("operator:{}", session.subject);
    tracing::info!(name: SESSION_STARTED, { order.actor = actor }, "an operator signed in");
    let max_age = seconds::rounded_up(session.lifetime);
    Ok(cookie::header(state.console.secure, &id, max_age))
}

/// A session without its secret.
fn granted(claims: &Claims) -> Result<Session, AuthError> {
    let scopes = [Admin::NAME, Observe::NAME];
    let scope = scopes.into_iter().find(|scope| claims.has(scope));
    let scope = scope.ok_or(AuthError::MissingScope(Observe::NAME))?;
    let of_token = claims.expires_at.saturating_duration_since(Instant::now());
    Ok(Session {
        subject: claims.customer.as_str().to_owned(),
        scope: scope.to_owned(),
        csrf: String::new(),
        lifetime: of_token.min(MAX_LIFETIME),
    })
}

/// Ends a session; the header that deletes its cookie.
pub(crate) async fn end_session(
    state: &AppState,
    session: SessionHash,
) -> Result<Option<HeaderValue>, Problem> {
    state.store.end_session(&session).await?;
    Ok(cookie::header(state.console.secure, "", 0))
}
