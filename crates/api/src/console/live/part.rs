//! What a page follows, and how its elements are rendered.

use actix_web::web::Bytes;
use askama::Template;
use domain::OrderId;
use uuid::Uuid;

use crate::console::frame::frame_parts;
use crate::console::series::Range;
use crate::console::{failures, jobs, operations, order_detail, overview};
use crate::problem::Problem;
use crate::state::AppState;

/// The live elements of a page. Where a page offers actions, those who may act see other elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Of every page.
    Frame,
    Overview(Range, bool),
    Order(OrderId, bool),
    Failures(bool),
    Queue(bool),
    Operations,
    Operation(Uuid),
}

impl Part {
    /// The events that replace the page's elements. While the page's own elements cannot be read, those of
    /// the frame say why.
    pub(super) async fn events(&self, state: &AppState) -> Result<Vec<Bytes>, Problem> {
        let mut elements = frame_parts(state).await?;
        match self.own_elements(state).await {
            Ok(own) => elements.extend(own),
            Err(problem) => tracing::debug!(%problem, "cannot refresh a live part"),
        }
        Ok(elements.iter().map(|html| ui::event(html).into()).collect())
    }

    async fn own_elements(&self, state: &AppState) -> Result<Vec<String>, Problem> {
        let rendered = match self {
            Self::Frame => Vec::new(),
            Self::Overview(range, may_act) => {
                let parts = overview::parts(state, *range, *may_act).await?;
                vec![
                    parts.stats.render(),
                    parts.rates.render(),
                    parts.waits.render(),
                    parts.failures.render(),
                    parts.workers.render(),
                ]
            }
            Self::Order(id, may_act) => {
                let parts = order_detail::parts(state, *id, *may_act).await?;
                vec![
                    parts.head.render(),
                    parts.history.render(),
                    parts.facts.render(),
                    parts.json.render(),
                ]
            }
            Self::Failures(may_act) => vec![failures::groups(state, *may_act).await?.render()],
            Self::Queue(may_act) => {
                let parts = jobs::parts(state, *may_act).await?;
                vec![parts.state.render(), parts.jobs.render(), parts.workers.render()]
            }
            Self::Operations => vec![operations::list(state).await?.render()],
            Self::Operation(id) => vec![operations::progress(state, *id).await?.render()],
        };
        let rendered: Result<_, _> = rendered.into_iter().collect();
        rendered.map_err(|error| Problem::internal(&error))
    }
}
