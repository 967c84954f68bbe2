//! Times on pages. A script writes them again in the reader's zone; without it they are UTC. The exact time
//! is in the title.

use std::fmt;

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, Utc};

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `41 s ago` within the last hour, the time of the day today, else with the date.
    Recent,
    /// With milliseconds.
    Precise,
}

/// A `<time>` element. It has no text of others, so it needs no escaping.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    at: DateTime<Utc>,
    style: Style,
}

impl Moment {
    /// For lists, where what is recent matters.
    pub fn recent(at: DateTime<Utc>) -> Self {
        let style = Style::Recent;
        Self { at, style }
    }

    /// For histories.
    pub fn precise(at: DateTime<Utc>) -> Self {
        let style = Style::Precise;
        Self { at, style }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (style, format) = match self.style {
            Style::Recent => ("recent", "%Y-%m-%d %H:%M:%S"),
            Style::Precise => ("precise", "%H:%M:%S%.3f"),
        };
        let (title, text) = (
            self.at.format("%Y-%m-%d %H:%M:%S%.3f UTC"),
            self.at.format(format),
        );
        write!(
            f,
            r#"<time datetime="{exact}" title="{title}" data-format="{style}">{text}</time>"#
        )
    }
}

impl HtmlSafe for Moment {}
