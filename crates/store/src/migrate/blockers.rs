//! Which sessions a migration waits for: their process id, program, state and times. Their statements are
//! left out, because these may contain personal data.

use std::convert::Infallible;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;

use crate::pg::connect::Connector;

const INTERVAL: Duration = Duration::from_millis(500);

/// Columns that the role may not see are empty.
const BLOCKERS: &str = "\
    SELECT format('pid %s (%s, %s), whose statement began at %s and whose transaction at %s', \
      pid, application_name, state, query_start::timestamptz(0), xact_start::timestamptz(0)) AS session \
    FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY pid";

#[derive(QueryableByName)]
struct Blocker {
    #[diesel(sql_type = Text)]
    session: String,
}

/// Reports, on a separate connection, what the backend `pid` waits for, once for each set of sessions.
/// Without a connection it reports nothing.
pub(super) async fn report(connector: &Connector, pid: i32, report: impl Fn(&str)) -> Infallible {
    let mut reported = String::new();
    if let Ok(mut connection) = connector.connect().await {
        loop {
            let query = diesel::sql_query(BLOCKERS).bind::<Integer, _>(pid);
            let Ok(blockers) = query.load::<Blocker>(&mut connection).await else {
                break;
            };
            let sessions: Vec<_> = blockers.into_iter().map(|blocker| blocker.session).collect();
            let sessions = sessions.join("; ");
            if !sessions.is_empty() && sessions != reported {
                report(&format!("waiting for {sessions}"));
                reported = sessions;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
    std::future::pending().await
}
