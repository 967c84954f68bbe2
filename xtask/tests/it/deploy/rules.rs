//! Prometheus' own checker accepts the rules, and their unit tests pass; and fail when a rule is broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::names::rules;
use super::{dashboards, files, list, manifests, read, root, runbooks, text, yaml};

const ALERTS: &str = "deploy/prometheus/rules/alerts.yaml";

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Output {
    let program = testkit::find_promtool().unwrap();
    Command::new(program)
        .args(arguments)
        .args(files)
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    let texts = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{}", texts.concat());
}

#[test]
fn promtool_accepts_the_rules() {
    succeeds(&promtool(
        &["check", "rules"],
        &files("deploy/prometheus/rules", "yaml"),
    ));
}

#[test]
fn each_alert_fires_on_its_fault_and_none_in_normal_operation() {
    succeeds(&promtool(
        &["test", "rules"],
        &files("deploy/prometheus/tests", "yaml"),
    ));
}

/// Those of dashboards, runbooks and the autoscaler, as rules of a file of their own.
#[test]
fn promtool_accepts_every_other_query() {
    let queries = dashboards::queries()
        .into_iter()
        .chain(runbooks::queries())
        .chain(manifests::queries());
    let rules: Vec<Value> = queries
        .map(|query| query.replace("$__rate_interval", "5m"))
        .map(|query| json!({ "record": "a_query", "expr": query }))
        .collect();
    assert!(rules.len() > 100, "{}", rules.len());
    let folder = temporary("queries");
    let file = folder.join("queries.json");
    let groups: Vec<Value> = (0..)
        .zip(rules)
        .map(|(index, rule)| json!({ "name": format!("{index}"), "rules": [rule] }))
        .collect();
    fs::write(&file, json!({ "groups": groups }).to_string()).unwrap();
    succeeds(&promtool(&["check", "rules", "--lint=none"], &[file]));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn prometheus_accepts_its_settings() {
    let folder = temporary("settings");
    // The path of the rules is that of the container.
    let rules = root()
        .join("deploy/prometheus/rules/*.yaml")
        .display()
        .to_string();
    let settings = read("deploy/prometheus/prometheus.yml").replace("/etc/prometheus/rules/*.yaml", &rules);
    let file = folder.join("prometheus.yml");
    fs::write(&file, settings).unwrap();
    succeeds(&promtool(&["check", "config"], &[file]));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn each_alert_has_a_page_and_tests_both_ways() {
    let mut tested: BTreeMap<String, [bool; 2]> = BTreeMap::new();
    for file in files("deploy/prometheus/tests", "yaml") {
        for test in list(&yaml(&fs::read_to_string(file).unwrap())["tests"]) {
            for check in list(&test["promql_expr_test"]) {
                let named = text(&check["expr"]).split("alertname=\"").nth(1);
                if let Some(name) = named.and_then(|rest| rest.split('"').next()) {
                    let fires = !list(&check["exp_samples"]).is_empty();
                    tested.entry(name.to_owned()).or_default()[usize::from(fires)] = true;
                }
            }
        }
    }
    for rule in rules() {
        let Some(name) = rule["alert"].as_str() else {
            continue;
        };
        assert_eq!(
            tested.get(name),
            Some(&[true, true]),
            "{name} is tested both ways"
        );
        let url = text(&rule["annotations"]["runbook_url"]);
        assert_eq!(url, format!("{{{{ $externalLabels.runbooks }}}}/{name}.md"));
        assert!(
            root().join(format!("docs/runbooks/{name}.md")).is_file(),
            "{name}"
        );
        assert!(
            ["page", "ticket"].contains(&text(&rule["labels"]["severity"])),
            "{name}"
        );
    }
}

/// The runbooks' table of alerts names the faults of the drill that must fire each; the others have their
/// unit test alone.
#[test]
fn the_table_of_alerts_says_what_proves_each() {
    let page = read("docs/runbooks/README.md");
    let steps = chaos::Step::all();
    for rule in rules() {
        let Some(name) = rule["alert"].as_str() else {
            continue;
        };
        let fires = |step: &&chaos::Step| step.alerts.iter().any(|(alert, _)| *alert == name);
        let faults: Vec<String> = steps
            .iter()
            .filter(fires)
            .map(|step| format!("`{}`", step.fault))
            .collect();
        let proof = if faults.is_empty() {
            "unit test".to_owned()
        } else {
            faults.join(", ")
        };
        let start = format!("| [{name}]({name}.md) | ");
        let row = page.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        assert!(
            row.ends_with(&format!(" | {proof} |")),
            "{row} has to end with {proof}"
        );
    }
}

/// Each changes one rule. The test of that rule then fails. Before the change it passes: see
/// `each_alert_fires_on_its_fault_and_none_in_normal_operation`.
#[test]
fn a_broken_rule_fails_its_test() {
    for (alert, rule, broken) in [
        (
            "PaymentGatewayUnavailable",
            "max(payment_gateway_available_ratio) == 0",
            "min(payment_gateway_available_ratio) == 0",
        ),
        (
            "OrdersFail",
            "(orders_failed_total unless orders_failed_total offset 10m and on () (up{job=\"throughline\"} \
             offset 10m == 1))",
            "(orders_failed_total > 1e9)",
        ),
        (
            "ReconcilerMissing",
            "unless on () absent(db_client_connection_max{job=\"throughline/throughline-worker\"})",
            "",
        ),
    ] {
        let rules = read(ALERTS);
        let changed = rules.replacen(rule, broken, 1);
        assert_ne!(rules, changed, "{alert}");
        assert!(!tests_of(alert, &changed), "{alert}");
    }
}

/// Whether the tests of an alert pass with these rules.
fn tests_of(alert: &str, rules: &str) -> bool {
    let folder = temporary(alert);
    let mut tests = yaml(&read("deploy/prometheus/tests/alerts.yaml"));
    let of_alert = |test: &&Value| text(&test["name"]).split(' ').next() == Some(alert);
    let kept: Vec<Value> = list(&tests["tests"]).iter().filter(of_alert).cloned().collect();
    assert!(!kept.is_empty(), "{alert}");
    tests["tests"] = kept.into();
    tests["rule_files"] = json!(["rules.yaml"]);
    fs::write(folder.join("rules.yaml"), rules).unwrap();
    // JSON is YAML.
    fs::write(folder.join("tests.yaml"), tests.to_string()).unwrap();
    let output = promtool(&["test", "rules"], &[folder.join("tests.yaml")]);
    fs::remove_dir_all(folder).unwrap();
    output.status.success()
}

fn temporary(name: &str) -> PathBuf {
    let folder: &Path = &std::env::temp_dir();
    let folder = folder.join(format!("throughline-rules-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}
