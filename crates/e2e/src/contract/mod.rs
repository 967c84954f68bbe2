//! The telemetry contract as data, and the checker that holds a capture to it. The contract is closed: a span name, an attribute
//! or a metric that does not stand here fails the check, and so does a row that nobody ever saw.
//!
//! | module | holds |
//! |---|---|
//! | `spans`, `metrics`, `resource` | the rows: names, types, units, buckets |
//! | `applies` | where an attribute has to be |
//! | `rows` | each span, point and resource against its row |
//! | `endpoints` | which paths there are, by service; what a span may call its route |
//! | `traces` | what holds between spans: parents, links, one trace an order |
//! | `signals` | what holds between signals: error types, logs, personal data |

mod applies;
mod capture;
mod endpoints;
mod metrics;
mod report;
mod resource;
mod rows;
mod signals;
mod spans;
mod traces;

pub use capture::{Capture, Inbound, Line};
pub use endpoints::UNTRACED;
pub use report::{Broken, Report, Row, Rule};

/// Holds the capture to every row and every rule.
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
