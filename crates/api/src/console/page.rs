//! What all pages have: the frame around their content, the headers of their responses, and how errors look.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError};
use askama::Template;
use chrono::TimeDelta;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::Operator;
use crate::assets::{HTML, POLICY};
use crate::problem::Problem;
use crate::samples;
use crate::state::AppState;

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Frame {
    /// The name of the page in the navigation.
    pub(super) current: &'static str,
    pub(super) environment: String,
    /// `None` on pages that need no session: sign-in and errors.
    pub(super) viewer: Option<Viewer>,
    pub(super) status: Status,
    pub(super) outage: Outage,
    pub(super) failures: FailureCount,
    /// The path of the page's live parts; empty if it has none.
    pub(super) live: String,
}

/// The operator that a page is for.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) name: String,
    pub(super) may_act: bool,
    pub(super) csrf: String,
}

/// The state of the servers; a live part of each page.
#[derive(Debug, Default, Clone, Template)]
#[template(path = "parts/status.html")]
pub(super) struct Status {
    postgresql: bool,
    redis: bool,
    /// Whether the payment gateway is available to the workers; `None` if that is not known.
    gateway: Option<bool>,
    paused: bool,
}

/// What does not work at the moment; a live part of each page.
#[derive(Debug, Default, Clone, Template)]
#[template(path = "parts/outage.html")]
pub(super) struct Outage {
    postgresql: bool,
    redis: bool,
}

/// The failures of the last hour, in the navigation; a live part of each page.
#[derive(Debug, Default, Clone, Template)]
#[template(path = "parts/failure_count.html")]
pub(super) struct FailureCount(String);

/// The pages of the navigation, each with the key that leads to it after `g`.
pub(super) const PAGES: [(&str, &str, char); 5] = [
    ("Overview", "/", 'h'),
    ("Orders", "/orders", 'o'),
    ("Failures", "/failures", 'f'),
    ("Queue", "/queue", 'q'),
    ("Operations", "/operations", 'p'),
];

impl Frame {
    /// The frame of the page `current`, whose live parts are at `live`.
    pub(super) async fn of<P>(
        state: &AppState,
        operator: &Operator<P>,
        current: &'static str,
        live: impl Into<String>,
    ) -> Self {
        let viewer = Viewer {
            name: operator.subject().as_str().to_owned(),
            may_act: operator.may_act(),
            csrf: operator.csrf().to_owned(),
        };
        Self {
            current,
            viewer: Some(viewer),
            live: live.into(),
            failures: FailureCount::read(state).await,
            ..Self::without_operator(state).await
        }
    }

    pub(super) async fn without_operator(state: &AppState) -> Self {
        let status = Status::read(state).await;
        Self {
            current: "",
            environment: state.console.environment.clone(),
            viewer: None,
            outage: Outage::of(&status),
            status,
            failures: FailureCount::default(),
            live: String::new(),
        }
    }
}

impl Status {
    async fn read(state: &AppState) -> Self {
        let servers = state.servers().await;
        let latest = state.samples.latest().await;
        Self {
            postgresql: servers.schema.is_some(),
            redis: servers.redis,
            gateway: latest.and_then(|sample| sample.state?.gateway_available),
            paused: servers.paused,
        }
    }
}

impl FailureCount {
    async fn read(state: &AppState) -> Self {
        let samples = state.samples.since(TimeDelta::hours(1)).await;
        let failed: i64 = samples.iter().map(|sample| samples::failed(sample)).sum();
        Self(if failed == 0 {
            String::new()
        } else {
            ui::grouped(u64::try_from(failed).unwrap_or(0))
        })
    }
}

impl Outage {
    fn of(status: &Status) -> Self {
        let Status {
            postgresql, redis, ..
        } = *status;
        Self { postgresql, redis }
    }
}

/// The live parts of every page.
pub(super) async fn frame_parts(state: &AppState) -> Result<Vec<String>, Problem> {
    let status = Status::read(state).await;
    let (outage, failures) = (Outage::of(&status), FailureCount::read(state).await);
    let rendered = [status.render(), outage.render(), failures.render()];
    let rendered: Result<Vec<_>, _> = rendered.into_iter().collect();
    rendered.map_err(|error| Problem::internal(&error))
}

/// The version, and the commit if the build sets it.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(super) const COMMIT: Option<&str> = option_env!("GIT_COMMIT");

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
        Ok(page) => Ok(response.into_response(page)),
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
