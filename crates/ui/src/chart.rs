//! Line charts as SVG, with axes, units and marks for what happened. Points without data are gaps.

use std::fmt::{self, Display, Write};

/// The colour of a series: a class of the style sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The first series.
    First,
    /// The second colour of series.
    Second,
    /// The third colour of series, for what follows from the first.
    Third,
    /// The fourth colour of series.
    Fourth,
    /// What failed.
    Bad,
    /// What waits.
    Warn,
}

impl Colour {
    /// The class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::First => "c0",
            Self::Second => "c1",
            Self::Third => "c2",
            Self::Fourth => "c3",
            Self::Bad => "c-bad",
            Self::Warn => "c-warn",
        }
    }
}

/// Values at equal distances; `None` where there is no data.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// From the left; 0 or more.
    values: &'a [Option<f64>],
    colour: Colour,
    /// Whether the area below is filled.
    filled: bool,
}

impl<'a> Series<'a> {
    /// A line.
    pub fn line(values: &'a [Option<f64>], colour: Colour) -> Self {
        let filled = false;
        Self {
            values,
            colour,
            filled,
        }
    }

    /// A line with the area below it filled.
    pub fn area(values: &'a [Option<f64>], colour: Colour) -> Self {
        let filled = true;
        Self {
            values,
            colour,
            filled,
        }
    }
}

/// A text below the time axis.
#[derive(Debug, Clone)]
pub struct Label {
    /// From 0, the left edge, to 1.
    pub at: f64,
    /// The text.
    pub text: String,
    /// RFC 3339: a script may write the text again in the reader's zone.
    pub time: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Mark {
    /// From 0, the left edge, to 1.
    pub at: f64,
    /// What it was.
    pub text: String,
}

/// A chart with axes. `Display` writes the SVG; all texts are escaped.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// What the chart shows, for screen readers: with units, and the latest value.
    pub description: String,
    /// The lines.
    pub series: Vec<Series<'a>>,
    /// The time axis.
    pub labels: Vec<Label>,
    /// What happened.
    pub marks: Vec<Mark>,
    /// The least value of the top of the value axis.
    pub least_top: f64,
    /// How a value is written at its axis.
    pub unit: fn(f64) -> String,
}

pub(crate) const WIDTH: f64 = 560.0;
pub(crate) const HEIGHT: f64 = 120.0;
/// The texts of marks that are close to each other are below each other.
const MARK_ROWS: u8 = 4;

impl Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self
            .series
            .iter()
            .flat_map(|series| series.values.iter().flatten());
        let top = round_up(values.fold(self.least_top, |top, value| top.max(*value)));
        write!(
            f,
            r#"<svg class="chart" viewBox="-2 -8 {} {}" role="img" aria-label=""#,
            WIDTH + 62.0,
            HEIGHT + 28.0
        )?;
        escaped(f, &self.description)?;
        f.write_str(r#""><g class="grid">"#)?;
        for step in [0.0, 0.5, 1.0] {
            let y = HEIGHT * (1.0 - step);
            write!(
                f,
                r#"<line x1="0" x2="{WIDTH}" y1="{y}" y2="{y}"/><text x="{}" y="{}">"#,
                WIDTH + 6.0,
                y + 4.0
            )?;
            let unit = |value| {
                if value > 0.0 {
                    (self.unit)(value)
                } else {
                    "0".to_owned()
                }
            };
            escaped(f, &unit(top * step))?;
            f.write_str("</text>")?;
        }
        f.write_str("</g>")?;
        for series in &self.series {
            lines(f, series, top, WIDTH, HEIGHT)?;
        }
        for (mark, row) in self.marks.iter().zip((0..MARK_ROWS).cycle()) {
            let x = mark.at.clamp(0.0, 1.0) * WIDTH;
            let (text_x, anchor) = if mark.at > 0.7 {
                (x - 5.0, "end")
            } else {
                (x + 5.0, "start")
            };
            write!(
                f,
                r#"<g class="mark"><line x1="{x:.1}" x2="{x:.1}" y1="0" y2="{HEIGHT}"/><text x="{text_x:.1}" y="8" dy="{:.1}em" text-anchor="{anchor}">"#,
                1.2 * f64::from(row)
            )?;
            escaped(f, &mark.text)?;
            f.write_str("</text></g>")?;
        }
        time_axis(f, &self.labels)?;
        f.write_str("</svg>")
    }
}

/// The texts below a chart.
pub(crate) fn time_axis(f: &mut fmt::Formatter<'_>, labels: &[Label]) -> fmt::Result {
    for label in labels {
        let anchor = match label.at {
            at if at <= 0.0 => "start",
            at if at >= 1.0 => "end",
            _ => "middle",
        };
        write!(
            f,
            r#"<text x="{:.1}" y="{}" dy="0.75em" text-anchor="{anchor}""#,
            label.at * WIDTH,
            HEIGHT + 8.0
        )?;
        if let Some(time) = &label.time {
            f.write_str(r#" data-time=""#)?;
            escaped(f, time)?;
            f.write_str("\"")?;
        }
        f.write_str(">")?;
        escaped(f, &label.text)?;
        f.write_str("</text>")?;
    }
    Ok(())
}

/// A small chart without axes, beside the number that it explains. Hidden from screen readers.
pub fn sparkline(values: &[Option<f64>], colour: Colour) -> String {
    let mut svg = r#"<svg class="spark" viewBox="0 0 140 30" preserveAspectRatio="none" aria-hidden="true">"#
        .to_owned();
    let top = values
        .iter()
        .flatten()
        .fold(0.0_f64, |top, value| top.max(*value));
    let series = Series::area(values, colour);
    // Writing to a String does not fail.
    let _ = lines(
        &mut svg,
        &series,
        if top > 0.0 { top * 1.15 } else { 1.0 },
        140.0,
        29.0,
    );
    svg.push_str("</svg>");
    svg
}

/// One path for each run of values without a gap.
fn lines(f: &mut impl Write, series: &Series<'_>, top: f64, width: f64, height: f64) -> fmt::Result {
    let last = series.values.len().saturating_sub(1).max(1);
    let step = width / f64::from(u32::try_from(last).unwrap_or(u32::MAX));
    let class = series.colour.class();
    let mut x = 0.0;
    let mut points = String::new();
    let mut start = 0.0;
    // A last gap ends the last run.
    for value in series.values.iter().chain([&None]) {
        match value {
            Some(value) => {
                if points.is_empty() {
                    start = x;
                }
                let command = if points.is_empty() { 'M' } else { 'L' };
                write!(
                    points,
                    "{command}{x:.1},{:.1}",
                    height - value.clamp(0.0, top) / top * height
                )?;
            }
            None if !points.is_empty() => {
                let end = x - step;
                if series.filled {
                    write!(
                        f,
                        r#"<path class="area {class}" d="{points}L{end:.1},{height}L{start:.1},{height}Z"/>"#
                    )?;
                }
                write!(f, r#"<path class="line {class}" d="{points}"/>"#)?;
                points.clear();
            }
            None => {}
        }
        x += step;
    }
    Ok(())
}

/// The next of 1, 2, 4, 5 times a power of ten; 1 at least for 0.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let magnitude = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 10.0].map(|step| step * magnitude);
    steps.into_iter().find(|step| *step >= value).unwrap_or(value)
}

pub(crate) fn escaped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for letter in text.chars() {
        match letter {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '"' => f.write_str("&quot;")?,
            letter => f.write_char(letter)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[Option<f64>]) -> String {
        let series = Series::line(values, Colour::First);
        let chart = Chart {
            description: "orders <&\"> per second".to_owned(),
            series: vec![series],
            labels: Vec::new(),
            marks: vec![Mark {
                at: 2.0,
                text: "<script>".to_owned(),
            }],
            least_top: 0.0,
            unit: |value| value.to_string(),
        };
        chart.to_string()
    }

    #[test]
    fn a_gap_in_the_data_is_a_gap_in_the_line() {
        let svg = chart(&[Some(1.0), Some(3.0), None, Some(2.0), Some(4.0)]);
        assert_eq!(svg.matches("<path").count(), 2, "{svg}");
        assert!(svg.contains(r#"d="M0.0,90.0L140.0,30.0""#), "{svg}");
        assert!(svg.contains(r#"d="M420.0,60.0L560.0,0.0""#), "{svg}");
    }

    #[test]
    fn no_data_and_zeros_are_charts_too_and_no_text_is_markup() {
        for values in [&[][..], &[None], &[Some(0.0)], &[Some(0.0), Some(0.0)]] {
            let svg = chart(values);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(!svg.contains("<script") && !svg.contains("style="), "{svg}");
            assert!(sparkline(values, Colour::Bad).ends_with("</svg>"));
        }
    }

    #[test]
    fn the_texts_of_marks_at_one_time_are_below_each_other() {
        let mark = |text: &str| Mark {
            at: 0.5,
            text: text.to_owned(),
        };
        let chart = Chart {
            description: String::new(),
            series: Vec::new(),
            labels: Vec::new(),
            marks: vec![mark("killed"), mark("started")],
            least_top: 0.0,
            unit: |value| value.to_string(),
        };
        let svg = chart.to_string();
        assert!(
            svg.contains(r#"dy="0.0em""#) && svg.contains(r#"dy="1.2em""#),
            "{svg}"
        );
    }

    #[test]
    fn the_value_axis_ends_at_a_round_number() {
        let tops = [0.0, 0.3, 1.0, 3.2, 312.0, 900.0].map(round_up);
        assert_eq!(tops, [1.0, 0.4, 1.0, 4.0, 400.0, 1000.0]);
    }
}
