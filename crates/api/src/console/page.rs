//! How pages are sent: their headers, and how errors look.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::frame::Frame;
use crate::assets::{HTML, POLICY};
use crate::problem::Problem;
use crate::state::AppState;

/// A page. `span` is its name in traces: `render {template}`.
pub(super) async fn page(
    span: &'static str,
    template: &impl Template,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    page_with_frames(span, template, status, None).await
}

/// As [`page`]; pages of this origin may be shown inside.
pub(super) async fn page_with_frames(
    span: &'static str,
    template: &impl Template,
    status: StatusCode,
    inner_origin: Option<&str>,
) -> Result<HttpResponse, Problem> {
    let html = render(span, template).await?;
    let policy = match inner_origin {
        Some(origin) => format!("{POLICY}; frame-src {origin}"),
        None => POLICY.to_owned(),
    };
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // A form's Origin header is `null` under the policy of the other responses.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .content_type(HTML)
        .body(html))
}

pub(super) async fn render(span: &'static str, template: &impl Template) -> Result<String, Problem> {
    let rendered = telemetry::span::within(span, || [], async {
        template
            .render()
            .inspect_err(|_| telemetry::span::fail("template"))
    });
    rendered.await.map_err(|error| Problem::internal(&error))
}

/// To another page, after a form was sent.
pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    status: StatusCode,
    detail: String,
    advice: &'static str,
    trace_id: Option<String>,
}

/// The middleware that shows errors as pages. Without a session, a page leads to the sign-in and back.
pub(super) async fn show_errors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let error = response.response().error();
    let Some(problem) = error.and_then(|error| error.as_error::<Problem>()) else {
        return Ok(response);
    };
    let Some(state) = response.request().app_data::<Data<AppState>>() else {
        return Ok(response);
    };
    let status = problem.status_code();
    if status == StatusCode::UNAUTHORIZED {
        let to = sign_in_path(&response);
        return Ok(response.into_response(see_other(&to)));
    }
    let shown = ErrorPage {
        frame: Frame::without_operator(state).await,
        status,
        detail: problem.detail().to_owned(),
        advice: advice(status),
        trace_id: telemetry::span::current_trace_id(),
    };
    match page("render error.html", &shown, status).await {
        Ok(mut page) => {
            for (name, value) in problem.headers() {
                page.headers_mut().insert(name.clone(), value.clone());
            }
            Ok(response.into_response(page))
        }
        Err(_) => Ok(response),
    }
}

fn sign_in_path(response: &ServiceResponse) -> String {
    let request = response.request();
    let back = request.uri().path_and_query().map_or("/", |path| path.as_str());
    if request.method() == Method::GET && back != "/" {
        format!("/sign-in?next={}", utf8_percent_encode(back, NON_ALPHANUMERIC))
    } else {
        "/sign-in".to_owned()
    }
}

/// What an operator can do about an error.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "Ask for the scope orders:admin, and sign in again.",
        StatusCode::NOT_FOUND => "It may have been deleted after its retention. Search for another id.",
        StatusCode::CONFLICT => "Reload the order to see its present state.",
        StatusCode::TOO_MANY_REQUESTS => "Wait a moment.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "Check PostgreSQL: docs/operating.md says how. Orders that were accepted are not lost. A filter that \
             matches few of many orders may also take too long: narrow it by time."
        }
        status if status.is_server_error() => "The log has the cause, under the trace id below.",
        _ => "Go back and correct the request.",
    }
}
