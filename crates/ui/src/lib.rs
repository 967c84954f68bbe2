//! What the web pages of Throughline share: one style sheet, one script, the frame of a page (the template
//! `shell.html`), the logo, charts as SVG, and how numbers, times, durations and amounts are written. Markup
//! that it makes has no `style` attributes, which a strict Content-Security-Policy forbids: colours are
//! classes of the style sheet.
#![warn(missing_docs)]

mod chart;
mod heat_map;
mod live;
mod moment;
mod words;

pub use chart::{Chart, Colour, Label, Mark, Series, sparkline};
pub use heat_map::HeatMap;
pub use live::event;
pub use moment::Moment;
pub use words::{amount, decimal, duration, grouped, percent, rate, shortened};

/// The style sheet: tokens by meaning, the frame, and the pieces. Light and dark.
pub const CSS: &str = include_str!("../assets/ui.css");

/// The script of every page: times in the reader's zone, keys, and live parts. An ES module.
pub const SCRIPT: &str = include_str!("../assets/ui.js");

/// The logo, 22 by 22; also the icon of the pages.
pub const LOGO: &str = include_str!("../assets/logo.svg");
