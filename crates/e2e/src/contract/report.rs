//! The result of a check: how often each row was seen, and every violation of a rule.

use std::fmt;

/// The result of a check.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Every row of the contract.
    pub rows: Vec<Row>,
    /// Every violation of a rule.
    pub broken: Vec<Broken>,
}

/// One row of the contract.
#[derive(Debug, Clone)]
pub struct Row {
    /// The heading under which it is shown.
    pub table: &'static str,
    /// The name of a span, attribute, metric, value or situation.
    pub name: String,
    /// The number of instances in the capture.
    pub seen: usize,
}

/// A violation of a rule.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The violated rule.
    pub rule: Rule,
    /// The span, metric or record, and its wrong value.
    pub what: String,
}

macro_rules! rules {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// The rules of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[doc = $text])+ $name,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }

        impl fmt::Display for Rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => concat!($($text),+).trim_start(),)+
                })
            }
        }
    };
}

rules! {
    /// a row of the contract was never seen
    NeverSeen,
    /// a span has a kind and a name of the contract
    SpanName,
    /// an attribute is present, always or wherever it applies
    AttributeMissing,
    /// an attribute is in the contract
    AttributeUnknown,
    /// an attribute has the type of the contract, and is present once
    AttributeType,
    /// an attribute has a value of the contract
    AttributeValue,
    /// http.route is the template of the path, never the path itself
    Route,
    /// a status follows from the code: 5xx fails, 4xx only fails a client; a failure has an error.type, a
    /// success none
    Status,
    /// error.type is a word of a bounded set, never a message
    ErrorType,
    /// a failed span has no description, and no span has events
    Description,
    /// a span of the contract is exported whole
    Dropped,
    /// db.query.text is static: no bind value, no key
    QueryText,
    /// every parent that a span names is exported, the caller's aside
    Orphan,
    /// no root is a CLIENT span
    ClientRoot,
    /// health checks, icons and static files make no spans
    Untraced,
    /// a request continues its caller's trace, links to it or ignores it, as TRACE_INBOUND says
    Inbound,
    /// a root INTERNAL span belongs to a loop that found work
    IdleLoop,
    /// at most 10 INTERNAL spans per service and trace
    InternalSpans,
    /// at most 20 spans under 5 ms per trace, and 12 for each attempt after the first
    ShortSpans,
    /// process is a child of its send span and links to it, or with JOB_TRACE=link a root that only links
    Links,
    /// a retry links to the attempt before
    Attempts,
    /// all send and process spans of an order belong to the trace of its creation
    OneTrace,
    /// a call that is sent again has the number of earlier sends
    Resend,
    /// a payment is confirmed only after the same attempt recorded its id, or read it under the recorded id
    Unrecorded,
    /// a card that was declined fails its order, not the job
    Declined,
    /// a metric is in the contract
    MetricUnknown,
    /// a metric has the unit, the kind and the buckets of the contract
    MetricShape,
    /// a metric's attributes stand in the contract, and have few values
    MetricAttribute,
    /// a span and its metric carry the same error.type
    SameErrorType,
    /// a resource has the attributes of the contract and no others
    Resource,
    /// service.instance.id is unique
    Instance,
    /// a record has no event name, or one of the contract with its attributes
    Event,
    /// a log record has a severity, of INFO at least
    Severity,
    /// a log record of a trace names a span of it
    LogCorrelation,
    /// an error's log record has exception.type and exception.message
    Exception,
    /// a line is JSON with a severity, and with trace_id and span_id or neither
    JsonLine,
    /// no personal data and no secret leaves the process
    Masking,
}

impl Report {
    /// Whether no rule is broken.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether this rule is broken.
    #[must_use]
    pub fn breaks(&self, rule: Rule) -> bool {
        self.broken.iter().any(|broken| broken.rule == rule)
    }

    pub(super) fn row(&mut self, table: &'static str, name: impl Into<String>, seen: usize) {
        let name = name.into();
        self.rows.push(Row { table, name, seen });
    }

    pub(super) fn break_rule(&mut self, rule: Rule, what: impl Into<String>) {
        let what = what.into();
        self.broken.push(Broken { rule, what });
    }

    pub(super) fn require_every_row(&mut self) {
        let never = |row: &&Row| row.seen == 0;
        let unseen: Vec<String> = self
            .rows
            .iter()
            .filter(never)
            .map(|row| format!("{}: {}", row.table, row.name))
            .collect();
        for row in unseen {
            self.break_rule(Rule::NeverSeen, row);
        }
    }
}

/// The maximum number of printed violations of one rule.
const MAX_PRINTED: usize = 10;

/// The table of all rows, then the violations by rule.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = "";
        for row in &self.rows {
            if row.table != table {
                table = row.table;
                writeln!(f, "\n{table}")?;
            }
            let note = if row.seen == 0 { "  NEVER SEEN" } else { "" };
            writeln!(f, "  {:>7}  {}{note}", row.seen, row.name)?;
        }
        let rows = self.rows.len();
        let seen = self.rows.iter().filter(|row| row.seen > 0).count();
        writeln!(f, "\n{seen} of {rows} rows seen")?;
        for rule in Rule::ALL {
            let broken = self.broken.iter().filter(|broken| broken.rule == *rule);
            let what: Vec<&str> = broken.map(|broken| broken.what.as_str()).collect();
            if what.is_empty() {
                continue;
            }
            writeln!(f, "\nBROKEN: {rule} ({} times)", what.len())?;
            for what in what.iter().take(MAX_PRINTED) {
                writeln!(f, "  {what}")?;
            }
            if what.len() > MAX_PRINTED {
                writeln!(f, "  and {} more", what.len() - MAX_PRINTED)?;
            }
        }
        match self.broken.len() {
            0 => writeln!(f, "no rule is broken"),
            count => writeln!(f, "\nrules broken {count} times"),
        }
    }
}
