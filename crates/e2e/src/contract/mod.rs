//! The telemetry contract as data, and the checks of a capture against it. The contract is closed: a span
//! name, an attribute or a metric without a row fails the check, and so does a row that no run showed.
//!
//! | module | content |
//! |---|---|
//! | `spans`, `metrics`, `events`, `resource` | the rows: names, types, units, buckets |
//! | `attributes` | the types of attributes, and those that are in no convention |
//! | `registry` | the rows as a registry of OpenTelemetry Weaver |
//! | `prometheus` | the names of the metrics in Prometheus |
//! | `applies` | which spans must have an attribute |
//! | `rows` | each span, point and resource against its row |
//! | `endpoints` | the paths of each service, and the routes of their spans |
//! | `traces` | rules between spans: parents, links, one trace per order |
//! | `signals` | rules between signals: error types, logs, personal data |

mod applies;
mod attributes;
mod capture;
mod endpoints;
mod events;
mod metrics;
mod prometheus;
mod registry;
mod report;
mod resource;
mod rows;
mod signals;
mod spans;
mod traces;

pub use capture::{Capture, Inbound, Line};
pub use endpoints::UNTRACED;
pub use prometheus::{Series, exported_name, series};
pub use registry::{Definitions, MANIFEST, registry};
pub use report::{Broken, Report, Row, Rule};

/// Checks the capture against every row and every rule.
#[must_use]
pub fn check(capture: &Capture) -> Report {
    let mut report = Report::default();
    rows::check(capture, &mut report);
    endpoints::check(capture, &mut report);
    traces::check(capture, &mut report);
    signals::check(capture, &mut report);
    report.require_every_row();
    report
}
