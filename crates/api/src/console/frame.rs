//! The frame around every page: the navigation, who is signed in, and the state of the servers.

use askama::Template;
use chrono::TimeDelta;

use super::access::Operator;
use crate::problem::Problem;
use crate::samples;
use crate::state::AppState;

/// The version that pages show, beside the commit.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

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
            ui::grouped(failed)
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
