//! The page that an operator confirms a change on. A script shows its content in a dialog.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::access::{Act, Operator};
use super::frame::Frame;
use super::page::page;
use crate::problem::Problem;
use crate::state::AppState;

/// What is to be confirmed.
#[derive(Debug, Default)]
pub(super) struct Confirmation {
    pub(super) title: String,
    /// What will happen.
    pub(super) text: String,
    /// What should be considered before.
    pub(super) warning: Option<String>,
    /// The path that the form is sent to.
    pub(super) action: String,
    /// The fields that say what is changed.
    pub(super) fields: Vec<(String, String)>,
    /// The label of the button; empty where there is nothing to confirm.
    pub(super) button: String,
    /// `primary` or `danger`.
    pub(super) class: &'static str,
    /// The path without the change.
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "confirmation.html")]
struct ConfirmationPage<'a> {
    frame: Frame,
    confirmation: Confirmation,
    csrf: &'a str,
}

pub(super) async fn confirm(
    state: &AppState,
    operator: &Operator<Act>,
    current: &'static str,
    confirmation: Confirmation,
) -> Result<HttpResponse, Problem> {
    let shown = ConfirmationPage {
        frame: Frame::of(state, operator, current, "").await,
        confirmation,
        csrf: operator.csrf(),
    };
    page("render confirmation.html", &shown, StatusCode::OK).await
}
