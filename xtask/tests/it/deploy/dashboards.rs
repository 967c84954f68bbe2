//! The dashboards are up to date, have the shape that Grafana expects, and name only what exists.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::names::{Series, rules};
use super::{files, list, root, text};
use crate::xtask::Xtask;

fn boards() -> Vec<Value> {
    files("deploy/grafana/dashboards", "json")
        .into_iter()
        .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

pub(super) fn queries() -> Vec<String> {
    let of_board = |board: &Value| {
        let panels = list(&board["panels"]).iter();
        let targets = panels.flat_map(|panel| list(&panel["targets"]));
        let annotations = list(&board["annotations"]["list"]).iter();
        let queries = targets.chain(annotations.map(|it| &it["target"]));
        queries.map(|it| text(&it["expr"]).to_owned()).collect::<Vec<_>>()
    };
    boards().iter().flat_map(of_board).collect()
}

#[test]
fn the_dashboards_are_those_of_their_source() {
    Xtask::new("dashboards").run("dashboards --check").succeeds();
}

#[test]
fn no_panel_names_what_does_not_exist() {
    let known = Series::known();
    let mut found = Vec::new();
    for board in boards() {
        let panels = list(&board["panels"]).iter();
        let targets = panels.flat_map(|panel| list(&panel["targets"]).iter().map(move |it| (panel, it)));
        for (panel, target) in targets {
            let expression = text(&target["expr"]);
            let mut unknown = known.unknown(expression);
            let legend = text(&target["legendFormat"]).split("{{").skip(1);
            let labels = legend.filter_map(|rest| rest.split("}}").next());
            let missing = labels.filter(|label| !known.may_have(expression, label));
            unknown.extend(missing.map(str::to_owned));
            let title = text(&panel["title"]);
            found.extend(
                unknown
                    .into_iter()
                    .map(|what| format!("{}: {title}: {what}", board["uid"])),
            );
        }
        for annotation in list(&board["annotations"]["list"]) {
            assert!(
                known.unknown(text(&annotation["target"]["expr"])).is_empty(),
                "{annotation}"
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_panel_has_a_place_of_its_own_and_links_that_lead_somewhere() {
    let alerts: BTreeSet<String> = rules()
        .iter()
        .map(|rule| text(&rule["alert"]).to_owned())
        .collect();
    for board in boards() {
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&board["panels"]) {
            let number = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
            assert!(number("x") + number("w") <= 24, "{panel}");
            for (x, y) in (0..number("w")).flat_map(|x| (0..number("h")).map(move |y| (x, y))) {
                assert!(cells.insert((number("x") + x, number("y") + y)), "{panel}");
            }
            for link in list(&panel["links"]) {
                let url = text(&link["url"]);
                let alert = url
                    .strip_prefix("${runbooks}/")
                    .and_then(|it| it.strip_suffix(".md"));
                if let Some(search) = url.strip_prefix("${lens}/?q=") {
                    let search = percent_encoding::percent_decode_str(search)
                        .decode_utf8()
                        .unwrap();
                    let parsed: Result<lens::Query, _> = search.parse();
                    assert!(parsed.is_ok(), "{url}: {parsed:?}");
                }
                assert!(alert.is_none_or(|name| alerts.contains(name)), "{url}");
            }
        }
    }
}

#[test]
fn every_variable_that_a_dashboard_uses_is_one_of_its_own_or_of_grafana() {
    for path in files("deploy/grafana/dashboards", "json") {
        let json = fs::read_to_string(&path).unwrap();
        let board: Value = serde_json::from_str(&json).unwrap();
        let own: BTreeSet<&str> = list(&board["templating"]["list"])
            .iter()
            .map(|it| text(&it["name"]))
            .collect();
        let used = json.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        for name in used {
            assert!(own.contains(name), "{}: {name}", path.display());
        }
        for name in json.split("[$").skip(1).filter_map(|rest| rest.split(']').next()) {
            assert_eq!(name, "__rate_interval", "{}", path.display());
        }
    }
    assert!(
        root()
            .join("deploy/grafana/provisioning/dashboards/throughline.yaml")
            .is_file()
    );
}
