//! The loop that renders the live parts. While no console is open, it waits.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::hub::Live;
use crate::state::AppState;

/// How often a part is rendered.
const INTERVAL: Duration = Duration::from_secs(2);
/// Between two renderings, if another console opens meanwhile.
const MIN_INTERVAL: Duration = Duration::from_millis(250);
/// How often the sessions of open streams are looked up: another replica may have ended them.
const SESSION_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Never returns.
pub(crate) async fn refresh(live: &Live, state: &AppState) {
    let mut sessions_checked = Instant::now();
    loop {
        let parts = live.parts();
        if parts.is_empty() {
            live.subscribed().await;
            continue;
        }
        let rendered = parts.iter().map(async |part| match part.events(state).await {
            Ok(events) => live.publish(part, events),
            Err(problem) => tracing::debug!(%problem, "cannot refresh a live part"),
        });
        telemetry::span::untraced(join_all(rendered)).await;
        if sessions_checked.elapsed() > SESSION_CHECK_INTERVAL {
            end_sessions(live, state).await;
            sessions_checked = Instant::now();
        }
        sleep(MIN_INTERVAL).await;
        let _ = timeout(INTERVAL - MIN_INTERVAL, live.subscribed()).await;
    }
}

async fn end_sessions(live: &Live, state: &AppState) {
    let sessions = live.sessions();
    if sessions.is_empty() {
        return;
    }
    // While PostgreSQL is unavailable, sessions end at their time.
    if let Ok(open) = state.store.open_sessions(&sessions).await {
        live.end_sessions(|session| open.contains(session));
    }
}
