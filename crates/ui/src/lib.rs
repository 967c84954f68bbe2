//! What the web pages of Throughline share: one style sheet, the logo, charts as SVG, and how numbers,
//! durations and amounts are written. Markup that it makes has no `style` attributes, which a strict
//! Content-Security-Policy forbids: colours are classes of the style sheet.
#![warn(missing_docs)]

mod chart;
mod words;

pub use chart::{Chart, Colour, Label, Mark, Series, sparkline};
pub use words::{amount, decimal, duration, grouped, percent, rate, shortened};

/// The style sheet: tokens by meaning, the frame, and the pieces. Light and dark.
pub const CSS: &str = include_str!("../assets/ui.css");

/// The logo, 22 by 22; also the icon of the pages.
pub const LOGO: &str = include_str!("../assets/logo.svg");
