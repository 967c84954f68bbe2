//! The names in an expression of PromQL. promtool checks its syntax; this only tells names apart.

const KEYWORDS: [&str; 10] = [
    "and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "start", "end",
];
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A metric, and the labels that its matchers name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) labels: Vec<String>,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Names {
    pub(super) selectors: Vec<Selector>,
    /// The labels of `by`, `on` and the like.
    pub(super) grouping: Vec<String>,
}

pub(super) fn names(expression: &str) -> Names {
    let tokens = tokens(expression);
    let mut names = Names::default();
    let (mut in_matchers, mut in_grouping) = (false, false);
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).map(String::as_str).unwrap_or_default();
        match token.as_str() {
            "{" => in_matchers = true,
            "}" => in_matchers = false,
            ")" => in_grouping = false,
            name if !name.starts_with(is_name_start) => {}
            name if in_matchers => {
                let selector = names.selectors.last_mut().expect("a metric before `{`");
                selector.labels.push(name.to_owned());
            }
            name if in_grouping => names.grouping.push(name.to_owned()),
            name if GROUPING.contains(&name) => in_grouping = next == "(",
            name if KEYWORDS.contains(&name)
                || next == "("
                || GROUPING.contains(&next) && is_aggregation(name) => {}
            metric => names.selectors.push(Selector {
                metric: metric.to_owned(),
                labels: Vec::new(),
            }),
        }
    }
    names
}

fn is_aggregation(name: &str) -> bool {
    ["sum", "min", "max", "avg", "count", "topk", "group"].contains(&name)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

/// Names, brackets and single characters. Texts, numbers, durations and ranges are left out.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => text_length(rest, first),
            '[' => rest.find(']').expect("`]`") + 1,
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if c.is_ascii_digit() || c == '$' || is_name_start(c) => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "_:.$".contains(c);
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            }
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if is_name_start(first) || "{}()".contains(first) {
            tokens.push(token.to_owned());
        }
        rest = after.trim_start();
    }
    tokens
}

fn text_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.expect("the end of a text").0 + 1
}

#[test]
fn names_are_metrics_matchers_and_groups() {
    let found = names(
        "sum by (job, le) (rate(a_total{x=\"by (y)\", z!~'1'}[5m] offset 1h)) / on (k) group_left () b:c > 1e3 # d",
    );
    let selector = |metric: &str, labels: &[&str]| Selector {
        metric: metric.to_owned(),
        labels: labels.iter().map(|it| (*it).to_owned()).collect(),
    };
    let expected = Names {
        selectors: vec![selector("a_total", &["x", "z"]), selector("b:c", &[])],
        grouping: ["job", "le", "k"].map(str::to_owned).to_vec(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_group_may_follow_its_expression() {
    let found = names("max(a) by (b) unless on () absent(c{d=\"\\\"}\"})");
    let metrics: Vec<&str> = found.selectors.iter().map(|it| it.metric.as_str()).collect();
    assert_eq!((metrics, found.grouping), (vec!["a", "c"], vec!["b".to_owned()]));
    assert_eq!(found.selectors[1].labels, ["d"]);
}
