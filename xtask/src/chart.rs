//! `chart`: the Helm chart of `deploy/helm`, made from `deploy/k8s`: the same objects as those of the overlay
//! `production`, with values in place of what a site chooses.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};

const SOURCE: &str = "deploy/k8s";
const TARGET: &str = "deploy/helm";
/// The base's kustomization adds this label to every object and pod.
const LABEL: &str = "app.kubernetes.io/part-of: throughline";

/// Files of the source that become templates.
const TEMPLATES: [&str; 7] = [
    "base/serviceaccounts.yaml",
    "base/config.yaml",
    "base/migrate.yaml",
    "base/api.yaml",
    "base/worker.yaml",
    "base/network.yaml",
    "components/ingress/ingress.yaml",
];
const SCALED_OBJECT: &str = "components/keda/scaledobject.yaml";

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
        for (name, content) in files()? {
            let path = testkit::workspace().join(TARGET).join(name);
            if self.check {
                if fs::read_to_string(&path).ok().as_deref() != Some(&content) {
                    bail!("{} is not up to date: run `cargo xtask chart`", path.display());
                }
            } else {
                fs::create_dir_all(path.parent().context("a file in no folder")?)?;
                fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
                println!("{}", path.display());
            }
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
    for source in TEMPLATES.into_iter().chain([SCALED_OBJECT]) {
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
    let mut result = text.replace("image: throughline\n", "image: {{ .Values.image | quote }}\n");
    for workload in ["api", "worker", "migrate"] {
        let secret = format!("secretName: throughline-{workload}\n");
        result = result.replace(
            &secret,
            &format!("secretName: {{{{ .Values.secrets.{workload} }}}}\n"),
        );
    }
    for (field, value) in [
        ("minReplicas: 2", "minReplicas"),
        ("maxReplicas: 10", "maxReplicas"),
        ("minReplicaCount: 2", "minReplicas"),
        ("maxReplicaCount: 10", "maxReplicas"),
    ] {
        let name = field.split(' ').next().unwrap_or_default();
        result = result.replace(field, &format!("{name} {{{{ .Values.{workload}.{value} }}}}"));
    }
    result = result.replace("orders.example.com", "{{ .Values.host }}");
    let condition = match kind(text) {
        "Job" => return only_upgrades_run_the_hook(&result),
        "Ingress" => ".Values.ingress",
        "ScaledObject" => ".Values.keda",
        "HorizontalPodAutoscaler" if workload == "worker" => "not .Values.keda",
        _ => return result,
    };
    format!("{{{{- if {condition} }}}}\n{result}{{{{- end }}}}\n")
}

fn kind(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("kind: "))
        .unwrap_or_default()
}

/// At an installation, a hook would run before the account and the settings that it needs exist.
fn only_upgrades_run_the_hook(job: &str) -> String {
    let mut result = String::new();
    for line in job.split_inclusive('\n') {
        if line.contains("helm.sh/hook:") {
            result += "    {{- if .Release.IsUpgrade }}\n";
            result += line;
        } else if line.contains("helm.sh/hook-delete-policy:") {
            result += line;
            result += "    {{- end }}\n";
        } else {
            result += line;
        }
    }
    result
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
