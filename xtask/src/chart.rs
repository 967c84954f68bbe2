//! `chart`: the Helm chart of `deploy/helm`, made from `deploy/k8s`: the same objects as those of the overlay
//! `production`, with values in place of what a site chooses.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::generated;

const SOURCE: &str = "deploy/k8s";
const TARGET: &str = "deploy/helm";
/// The base's kustomization adds this label to every object and pod.
const LABEL: &str = "app.kubernetes.io/part-of: throughline";

/// Files of the source that become templates.
const TEMPLATES: [&str; 8] = [
    "base/serviceaccounts.yaml",
    "base/config.yaml",
    "base/migrate.yaml",
    "base/api.yaml",
    "base/worker.yaml",
    "base/network.yaml",
    "components/ingress/ingress.yaml",
    "components/keda/scaledobject.yaml",
];
/// What becomes a value, in any object. At an installation, a hook would run before the account and the
/// settings that it needs exist.
const REPLACED: [(&str, &str); 7] = [
    ("image: throughline\n", "image: {{ .Values.image | quote }}\n"),
    (
        "secretName: throughline-api\n",
        "secretName: {{ .Values.secrets.api }}\n",
    ),
    (
        "secretName: throughline-worker\n",
        "secretName: {{ .Values.secrets.worker }}\n",
    ),
    (
        "secretName: throughline-migrate\n",
        "secretName: {{ .Values.secrets.migrate }}\n",
    ),
    ("orders.example.com", "{{ .Values.host }}"),
    (
        "    helm.sh/hook: pre-upgrade\n",
        "    {{- if .Release.IsUpgrade }}\n    helm.sh/hook: pre-upgrade\n",
    ),
    (
        "    helm.sh/hook-delete-policy: before-hook-creation\n",
        "    helm.sh/hook-delete-policy: before-hook-creation\n    {{- end }}\n",
    ),
];
/// What becomes a value of the object's workload.
const REPLICAS: [(&str, &str); 4] = [
    (
        "minReplicas: 2",
        "minReplicas: {{ .Values.WORKLOAD.minReplicas }}",
    ),
    (
        "maxReplicas: 10",
        "maxReplicas: {{ .Values.WORKLOAD.maxReplicas }}",
    ),
    (
        "minReplicaCount: 2",
        "minReplicaCount: {{ .Values.WORKLOAD.minReplicas }}",
    ),
    (
        "maxReplicaCount: 10",
        "maxReplicaCount: {{ .Values.WORKLOAD.maxReplicas }}",
    ),
];

const CHART: &str = "\
# Made by `cargo xtask chart` from deploy/k8s.
apiVersion: v2
name: throughline
description: The api and the workers of Throughline, its migration, and their network policies
type: application
version: VERSION
appVersion: VERSION
kubeVersion: \">=1.30.0-0\"
";

const VALUES: &str = "\
# Made by `cargo xtask chart` from deploy/k8s.

# The registry that has the image of deploy/Dockerfile, and an immutable tag.
image: registry.example.com/throughline:VERSION

# The Secrets of each workload: deploy/k8s/secret.example.yaml.
secrets:
  api: throughline-api
  worker: throughline-worker
  migrate: throughline-migrate

api:
  minReplicas: 2
  maxReplicas: 10
worker:
  minReplicas: 2
  # What PostgreSQL's max_connections allows: docs/reliability.md.
  maxReplicas: 10

# Workers by the length of the queue and the age of the oldest unfinished order, for a cluster with KEDA; `false`: by CPU alone.
keda: true
# An Ingress with TLS for ingress-nginx and cert-manager.
ingress: true
host: orders.example.com

# The settings that are no secrets. `.env.example` lists all settings and their meaning.
config:
";

/// Write the Helm chart from the manifests of deploy/k8s
#[derive(clap::Args)]
pub(crate) struct Chart {
    /// Write nothing, and fail if a file differs from its source
    #[arg(long)]
    check: bool,
}

impl Chart {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = testkit::workspace().join(TARGET);
        for (name, content) in files()? {
            generated::write(&folder.join(name), &content, self.check, "cargo xtask chart")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn files() -> anyhow::Result<Vec<(String, String)>> {
    let version = env!("CARGO_PKG_VERSION");
    let (_, settings) = split_settings(&read("base/config.yaml")?)?;
    let mut files = vec![
        ("Chart.yaml".to_owned(), CHART.replace("VERSION", version)),
        (
            "values.yaml".to_owned(),
            VALUES.replace("VERSION", version) + &settings,
        ),
    ];
    for source in TEMPLATES {
        let name = source.rsplit('/').next().unwrap_or_default();
        files.push((format!("templates/{name}"), template(source)?));
    }
    Ok(files)
}

fn read(source: &str) -> anyhow::Result<String> {
    let path = testkit::workspace().join(SOURCE).join(source);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What precedes the settings of the ConfigMap, and the settings.
fn split_settings(config: &str) -> anyhow::Result<(String, String)> {
    let (before, settings) = config
        .split_once("\ndata:\n")
        .context("a ConfigMap without data")?;
    Ok((before.to_owned(), settings.to_owned()))
}

fn template(source: &str) -> anyhow::Result<String> {
    let mut text = read(source)?;
    ensure!(!text.contains("{{"), "{source} has a template's braces");
    if source.ends_with("config.yaml") {
        text = split_settings(&text)?.0 + "\ndata:\n  {{- toYaml .Values.config | nindent 2 }}\n";
    }
    let is_labelled = source.starts_with("base/");
    let objects = text.split("---\n").map(|object| {
        if is_labelled {
            document(&labelled(object))
        } else {
            document(object)
        }
    });
    Ok(objects.collect::<Vec<_>>().join("---\n"))
}

/// One object, with values.
fn document(text: &str) -> String {
    let workload = if text.contains("throughline-worker") {
        "worker"
    } else {
        "api"
    };
    let mut result = text.to_owned();
    for (from, to) in REPLACED.iter().chain(&REPLICAS) {
        result = result.replace(from, &to.replace("WORKLOAD", workload));
    }
    match condition(kind(text), workload) {
        Some(condition) => format!("{{{{- if {condition} }}}}\n{result}{{{{- end }}}}\n"),
        None => result,
    }
}

/// Of an object that not every site has.
fn condition(kind: &str, workload: &str) -> Option<&'static str> {
    match (kind, workload) {
        ("Ingress", _) => Some(".Values.ingress"),
        ("ScaledObject", _) => Some(".Values.keda"),
        ("HorizontalPodAutoscaler", "worker") => Some("not .Values.keda"),
        _ => None,
    }
}

fn kind(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("kind: "))
        .unwrap_or_default()
}

/// With the label at the object and at the pods of its template.
fn labelled(text: &str) -> String {
    let has_labels = text.contains("\n  labels:\n");
    let mut result = String::new();
    for line in text.split_inclusive('\n') {
        result += line;
        let indent = line.len() - line.trim_start().len();
        if line.trim() == "labels:" {
            result += &format!("{:indent$}  {LABEL}\n", "");
        } else if line == "metadata:\n" && !has_labels {
            result += &format!("  labels:\n    {LABEL}\n");
        }
    }
    result
}
