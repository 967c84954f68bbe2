//! How the values of a distribution change: a column for each time, a row for each bucket, darker where more
//! values are.

use std::fmt::{self, Display};

use crate::chart::{HEIGHT, Label, WIDTH, escaped, time_axis};

/// The most labels of the value axis.
const MAX_ROW_LABELS: usize = 7;
/// The least opacity of a cell with values.
const FAINTEST: f64 = 0.12;

/// A heat map with axes. `Display` writes the SVG; all texts are escaped.
#[derive(Debug, Clone)]
pub struct HeatMap<'a> {
    /// What it shows, for screen readers: with units.
    pub description: String,
    /// For each time, from the left, the number of values in each bucket, from the lowest.
    pub columns: &'a [Vec<f64>],
    /// What is written beside each bucket, from the lowest: its upper bound.
    pub rows: Vec<String>,
    /// The time axis.
    pub labels: Vec<Label>,
}

impl Display for HeatMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self
            .columns
            .iter()
            .flatten()
            .fold(0.0_f64, |most, number| most.max(*number));
        let width = WIDTH / count(self.columns.len());
        let height = HEIGHT / count(self.rows.len());
        write!(
            f,
            r#"<svg class="chart heat" viewBox="-2 -8 {} {}" role="img" aria-label=""#,
            WIDTH + 62.0,
            HEIGHT + 28.0
        )?;
        escaped(f, &self.description)?;
        f.write_str("\">")?;
        for (column, values) in self.columns.iter().enumerate() {
            let cells = values.iter().take(self.rows.len()).enumerate();
            for (row, number) in cells.filter(|(_, number)| **number > 0.0) {
                let opacity = FAINTEST + (1.0 - FAINTEST) * number.ln_1p() / most.ln_1p();
                write!(
                    f,
                    r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}" fill-opacity="{opacity:.2}"/>"#,
                    width * number_of(column),
                    HEIGHT - height * number_of(row + 1),
                    width + 0.2,
                )?;
            }
        }
        let step = self.rows.len().div_ceil(MAX_ROW_LABELS).max(1);
        for (row, text) in self.rows.iter().enumerate().step_by(step) {
            let y = HEIGHT - height * number_of(row + 1) + 4.0;
            write!(f, r#"<text x="{}" y="{y:.1}">"#, WIDTH + 6.0)?;
            escaped(f, text)?;
            f.write_str("</text>")?;
        }
        time_axis(f, &self.labels)?;
        f.write_str("</svg>")
    }
}

fn number_of(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn count(items: usize) -> f64 {
    number_of(items.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_values_are_drawn_and_the_fullest_is_the_darkest() {
        let columns = [vec![0.0, 1.0], vec![100.0, 0.0], vec![]];
        let map = HeatMap {
            description: "<b>".to_owned(),
            columns: &columns,
            rows: vec!["1 ms".to_owned(), "<script>".to_owned()],
            labels: Vec::new(),
        };
        let svg = map.to_string();
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert!(svg.contains(r#"fill-opacity="1.00""#), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains("style="), "{svg}");
        let empty = HeatMap {
            columns: &[],
            rows: Vec::new(),
            ..map
        };
        assert!(!empty.to_string().contains("NaN"));
    }
}
