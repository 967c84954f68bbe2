//! The parameters of a search, for the pages and the JSON API.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::problem::Problem;
use crate::query::Query;
use crate::search::{Cursor, LogSearch, TraceSearch};
use crate::series::MetricQuery;
use crate::timeline::MAX_STEPS;

/// The most traces or log records of a page.
const MAX_LIMIT: usize = 1_000;
/// Steps of a chart.
const DEFAULT_STEPS: usize = 60;
const DEFAULT_CHART_SECONDS: u64 = 15 * 60;

/// The parameters of a list of traces or log records. An empty one, as a form sends it, counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    /// A [`Query`].
    q: Option<String>,
    /// RFC 3339.
    from: Option<String>,
    until: Option<String>,
    /// In place of `from`: `5m`, `1h`, `30s`.
    last: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    /// Of charts.
    steps: Option<String>,
    /// Short for the word `service=...` of a query.
    service: Option<String>,
    /// Short for the word `order.id=...` of a query.
    order_id: Option<String>,
    /// Short for the word `trace=...` of a query.
    trace_id: Option<String>,
}

impl SearchParams {
    pub(super) fn traces(&self) -> Result<TraceSearch, Problem> {
        let query = self.text().parse().map_err(|error| bad("q", &error))?;
        Ok(TraceSearch {
            query,
            started: self.times()?,
            limit: self.limit(TraceSearch::LIMIT)?,
            after: self.after()?,
        })
    }

    pub(super) fn logs(&self) -> Result<LogSearch, Problem> {
        Ok(LogSearch {
            query: Query::of_logs(&self.text()).map_err(|error| bad("q", &error))?,
            recorded: self.times()?,
            limit: self.limit(LogSearch::LIMIT)?,
            after: self.after()?,
        })
    }

    /// The number of steps of a chart.
    pub(super) fn steps(&self) -> Result<usize, Problem> {
        number("steps", &self.steps, DEFAULT_STEPS, MAX_STEPS)
    }

    /// A chart of the metric `name`.
    pub(super) fn metric(&self, name: String) -> Result<MetricQuery, Problem> {
        let between = self.times()?;
        Ok(MetricQuery {
            name,
            attributes: Query::pairs(given(&self.q).unwrap_or_default()).map_err(|error| bad("q", &error))?,
            between: if between == (0..u64::MAX) {
                last_minutes()
            } else {
                between
            },
            steps: self.steps()?,
        })
    }

    fn text(&self) -> String {
        let word = |key, value: &Option<String>| given(value).map(|value| Query::word(key, value));
        let words = [
            given(&self.q).map(str::to_owned),
            word("service", &self.service),
            word("order.id", &self.order_id),
            word("trace", &self.trace_id),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn times(&self) -> Result<Range<u64>, Problem> {
        times(given(&self.from), given(&self.until), given(&self.last))
    }

    fn limit(&self, default: usize) -> Result<usize, Problem> {
        number("limit", &self.limit, default, MAX_LIMIT)
    }

    fn after(&self) -> Result<Option<Cursor>, Problem> {
        let after = given(&self.after).map(str::parse).transpose();
        after.map_err(|error| bad("after", &error))
    }
}

/// What a chart of a metric shows by default.
fn last_minutes() -> Range<u64> {
    let now = now();
    now.saturating_sub(DEFAULT_CHART_SECONDS * 1_000_000_000)..now
}

fn number(name: &str, text: &Option<String>, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Problem::BadRequest(format!("{name} is `{text}`; it takes 1 to {most}")))
}

/// The times from `from`, or `last` before now, to `until`, in nanoseconds since the Unix epoch.
pub(super) fn times(
    from: Option<&str>,
    until: Option<&str>,
    last: Option<&str>,
) -> Result<Range<u64>, Problem> {
    let from = match (from, last) {
        (Some(from), _) => time("from", from)?,
        (None, Some(last)) => now().saturating_sub(duration("last", last)?),
        (None, None) => 0,
    };
    let until = until.map_or(Ok(u64::MAX), |until| time("until", until))?;
    Ok(from..until)
}

/// `30s`, `5m`, `1h`, in nanoseconds.
pub(super) fn duration(name: &str, text: &str) -> Result<u64, Problem> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
        Some(u64::from(number) * seconds)
    });
    let nanos = seconds.map(|seconds| Duration::from_secs(seconds).as_nanos());
    let takes = || {
        Problem::BadRequest(format!(
            "{name} is `{text}`; it takes a duration such as 30s, 5m or 1h"
        ))
    };
    nanos
        .map(|nanos| u64::try_from(nanos).unwrap_or(u64::MAX))
        .ok_or_else(takes)
}

/// Nanoseconds since the Unix epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// The parameter, unless it is absent or empty.
pub(super) fn given(parameter: &Option<String>) -> Option<&str> {
    parameter
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn time(name: &str, text: &str) -> Result<u64, Problem> {
    let time: Option<DateTime<Utc>> = text.parse().ok();
    let nanos = time.and_then(|time| u64::try_from(time.timestamp_nanos_opt()?).ok());
    let takes = || {
        Problem::BadRequest(format!(
            "{name} is `{text}`; it takes a time as in 2024-05-01T12:00:00Z"
        ))
    };
    nanos.ok_or_else(takes)
}

fn bad(name: &str, error: &impl std::fmt::Display) -> Problem {
    Problem::BadRequest(format!("{name}: {error}"))
}
