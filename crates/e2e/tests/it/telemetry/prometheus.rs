//! What lens serves to Prometheus has the names and labels of the contract, and nothing else.

use std::collections::BTreeSet;

use throughline_e2e::contract;

use super::captured;

/// `name{a="b",c="d"} 1` as its name and labels. No value of the product's has a quote.
fn names(line: &str) -> (&str, BTreeSet<&str>) {
    let (name, rest) = line.split_once('{').unwrap();
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let labels = labels.split("\",").map(|pair| pair.split_once('=').unwrap().0);
    (name, labels.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_gets_the_names_and_labels_of_the_contract() {
    let text = lens::prometheus_text(&captured().await.metrics, 0);
    let known = contract::series();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = names(line);
        if name == "target_info" {
            assert!(
                labels.contains("service_version") && !labels.contains("service_name"),
                "{line}"
            );
            continue;
        }
        let series = known.iter().find(|series| series.name == name);
        let series = series.unwrap_or_else(|| panic!("not of the contract: {line}"));
        let is_known =
            |label: &str| ["job", "instance"].contains(&label) || series.labels.iter().any(|it| it == label);
        assert!(labels.iter().all(|label| is_known(label)), "{line}");
        assert!(labels.contains("job") && labels.contains("instance"), "{line}");
        seen.insert(name);
    }
    let missing: Vec<&str> = known
        .iter()
        .map(|it| it.name.as_str())
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
