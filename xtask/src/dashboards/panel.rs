//! What a dashboard consists of.

pub(super) struct Board {
    /// Also the name of its file, and its address in Grafana.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) rows: &'static [Row],
}

/// Panels below one heading. They fill lines of 24 columns from left to right.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) panels: &'static [Panel],
}

pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: Kind,
    /// One of Grafana's units: `s`, `ops`, `percentunit`, `bytes`, `short`.
    pub(super) unit: &'static str,
    /// Columns, of 24.
    pub(super) width: u32,
    /// Expressions, each with the text of its legend.
    pub(super) queries: &'static [(&'static str, &'static str)],
    /// From this value on it is red.
    pub(super) red_from: Option<f64>,
    /// The alert whose runbook it links to.
    pub(super) alert: Option<&'static str>,
    /// The search in lens that it links to.
    pub(super) traces: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines over time.
    Lines,
    /// Areas over time, on top of each other.
    Stacked,
    /// The latest value.
    Stat,
    /// The latest values, a line for each set of labels.
    Table,
}

impl Panel {
    pub(super) const fn new(
        kind: Kind,
        title: &'static str,
        description: &'static str,
        unit: &'static str,
        queries: &'static [(&'static str, &'static str)],
    ) -> Self {
        let width = if matches!(kind, Kind::Stat) { 4 } else { 8 };
        Self {
            title,
            description,
            kind,
            unit,
            width,
            queries,
            red_from: None,
            alert: None,
            traces: None,
        }
    }

    pub(super) const fn width(mut self, columns: u32) -> Self {
        self.width = columns;
        self
    }

    pub(super) const fn red_from(mut self, value: f64) -> Self {
        self.red_from = Some(value);
        self
    }

    pub(super) const fn alert(mut self, name: &'static str) -> Self {
        self.alert = Some(name);
        self
    }

    pub(super) const fn traces(mut self, search: &'static str) -> Self {
        self.traces = Some(search);
        self
    }
}
