//! `/sign-in` and `/sign-out`.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Form, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use serde::Deserialize;

use super::access::{self, Action, Look, require_same_origin};
use super::frame::Frame;
use super::live::Live;
use super::page::{page, see_other};
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    /// The path to show afterwards.
    next: String,
    error: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Token {
    token: String,
    next: Option<String>,
}

pub(super) async fn show(state: Data<AppState>, query: Query<Next>) -> Result<HttpResponse, Problem> {
    if state.authenticator.is_off() {
        return Ok(see_other("/"));
    }
    form(&state, own_path(query.into_inner().next), None).await
}

pub(super) async fn sign_in(
    request: HttpRequest,
    state: Data<AppState>,
    form: Form<Token>,
) -> Result<HttpResponse, Problem> {
    require_same_origin(&request)?;
    let Token { token, next } = form.into_inner();
    let next = own_path(next);
    match access::begin_session(&state, &request, token.trim()).await {
        Ok(cookie) => {
            let mut response = see_other(&next);
            if let Some(cookie) = cookie {
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(problem) => self::form(&state, next, Some(problem)).await,
    }
}

pub(super) async fn sign_out(
    state: Data<AppState>,
    live: Data<Live>,
    action: Action<Look>,
) -> Result<HttpResponse, Problem> {
    let mut response = see_other("/sign-in");
    if let Some((session, _)) = action.operator.session() {
        let cookie = access::end_session(&state, session).await?;
        live.end_session(&session);
        if let Some(cookie) = cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

async fn form(state: &AppState, next: String, problem: Option<Problem>) -> Result<HttpResponse, Problem> {
    let status = problem
        .as_ref()
        .map_or(StatusCode::OK, ResponseError::status_code);
    let shown = SignInPage {
        frame: Frame::without_operator(state).await,
        next,
        error: problem.map(|problem| problem.detail().to_owned()),
    };
    page("render sign_in.html", &shown, status).await
}

/// A path of this console, so that a link to the sign-in leads nowhere else.
fn own_path(next: Option<String>) -> String {
    let own = |path: &String| {
        path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n'])
    };
    next.filter(own).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_in_leads_to_pages_of_the_console_alone() {
        let path = |next: &str| own_path(Some(next.to_owned()));
        assert_eq!(path("/orders?status=failed"), "/orders?status=failed");
        for foreign in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:x",
        ] {
            assert_eq!(path(foreign), "/", "{foreign}");
        }
    }
}
