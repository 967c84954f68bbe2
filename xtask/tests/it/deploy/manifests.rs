//! The manifests for Kubernetes and docker compose refer to what exists, and meet the rules that the overlays
//! rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::names::Series;
use super::{list, read, root, text};
use crate::xtask::Xtask;

const OVERLAYS: [&str; 2] = ["production", "development"];
const COLLECTOR: &str = "deploy/k8s/collector";
/// It contains the collector.
const SAMPLING: &str = "deploy/k8s/collector-sampling";
const SECRETS: &str = "deploy/k8s/secret.example.yaml";

/// The documents of a file.
fn documents(path: &Path) -> Vec<Value> {
    let content = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&content).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a kustomization and those that it names consist of, before patches.
fn resources(folder: &Path) -> Vec<Value> {
    let file = folder.join("kustomization.yaml");
    let kustomization = documents(&file).remove(0);
    let mut all = Vec::new();
    let named = |list: &str| -> Vec<PathBuf> {
        let paths = kustomization[list].as_array().into_iter().flatten();
        paths
            .map(|path| folder.join(text(path.get("path").unwrap_or(path))))
            .collect()
    };
    let mut used: BTreeSet<PathBuf> = BTreeSet::from([file.clone()]);
    for path in named("resources").into_iter().chain(named("components")) {
        if path.is_dir() {
            all.extend(resources(&path));
        } else {
            all.extend(documents(&path));
            used.insert(path);
        }
    }
    used.extend(named("patches").into_iter().filter(|path| path.is_file()));
    for map in list(&kustomization["configMapGenerator"]) {
        let files = list(&map["files"]).iter().map(text);
        used.extend(files.map(|file| folder.join(file.rsplit('=').next().unwrap_or(file))));
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            path.is_dir() || used.contains(&path),
            "{} is not used",
            path.display()
        );
    }
    all
}

fn overlay(name: &str) -> Vec<Value> {
    resources(&root().join("deploy/k8s/overlays").join(name))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    of_kind(objects, kind)
        .iter()
        .map(|it| text(&it["metadata"]["name"]).to_owned())
        .collect()
}

/// Deployments and Jobs.
fn workloads(objects: &[Value]) -> Vec<&Value> {
    let mut workloads = of_kind(objects, "Deployment");
    workloads.extend(of_kind(objects, "Job"));
    workloads
}

#[test]
fn every_pod_is_restricted_and_has_an_account_limits_and_probes() {
    let collector = ("collector", resources(&root().join(SAMPLING)));
    let overlays = OVERLAYS.map(|name| (name, overlay(name)));
    for (name, objects) in overlays.into_iter().chain([collector]) {
        let accounts = names(&objects, "ServiceAccount");
        for workload in workloads(&objects) {
            let pod = &workload["spec"]["template"]["spec"];
            let what = format!("{name}: {}", workload["metadata"]["name"]);
            assert!(accounts.contains(text(&pod["serviceAccountName"])), "{what}");
            assert_eq!(pod["automountServiceAccountToken"], false, "{what}");
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{what}");
            for container in list(&pod["containers"]) {
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{what}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{what}");
                assert_eq!(text(&security["capabilities"]["drop"][0]), "ALL", "{what}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{what}");
                assert!(container["resources"]["requests"]["cpu"].is_string(), "{what}");
                let is_job = workload["kind"] == "Job";
                for probe in ["livenessProbe", "readinessProbe"] {
                    assert!(is_job || container[probe].is_object(), "{what}: {probe}");
                }
            }
        }
    }
}

#[test]
fn every_reference_of_a_manifest_leads_to_an_object() {
    let secrets: Vec<Value> = documents(&root().join(SECRETS));
    let secrets = names(&secrets, "Secret");
    for name in OVERLAYS {
        let objects = overlay(name);
        let pods: BTreeSet<String> = workloads(&objects)
            .iter()
            .map(|it| {
                text(&it["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]).to_owned()
            })
            .chain(names(&objects, "Job"))
            .collect();
        for workload in workloads(&objects) {
            for container in list(&workload["spec"]["template"]["spec"]["containers"]) {
                for source in list(&container["envFrom"]) {
                    let map = text(&source["configMapRef"]["name"]);
                    let secret = text(&source["secretRef"]["name"]);
                    let exists = names(&objects, "ConfigMap").contains(map) || secrets.contains(secret);
                    assert!(exists, "{name}: {source}");
                }
            }
        }
        for workload in workloads(&objects) {
            let pod = &workload["spec"]["template"]["spec"];
            for volume in list(&pod["volumes"]) {
                let secret = text(&volume["secret"]["secretName"]);
                assert!(secrets.contains(secret), "{name}: {volume}");
            }
            let files = list(&pod["containers"][0]["env"]).iter();
            let files = files.filter_map(|it| text(&it["value"]).strip_prefix("/run/secrets/throughline/"));
            let of_pod = documents(&root().join(SECRETS)).into_iter();
            let mut of_pod = of_pod.filter(|it| it["metadata"]["name"] == workload["metadata"]["name"]);
            let keys = of_pod
                .next()
                .map_or(Value::Null, |secret| secret["stringData"].clone());
            for file in files {
                assert!(keys.get(file).is_some(), "{name}: the Secret has no {file}");
            }
        }
        for kind in ["HorizontalPodAutoscaler", "ScaledObject"] {
            for object in of_kind(&objects, kind) {
                let target = text(&object["spec"]["scaleTargetRef"]["name"]);
                assert!(names(&objects, "Deployment").contains(target), "{name}: {target}");
            }
        }
        for object in of_kind(&objects, "PodDisruptionBudget") {
            let pod = text(&object["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]);
            assert!(pods.contains(pod), "{name}: {object}");
        }
        for object in of_kind(&objects, "Service") {
            assert!(
                pods.contains(text(&object["spec"]["selector"]["app.kubernetes.io/name"])),
                "{object}"
            );
        }
        for pod in selected_pods(&objects) {
            assert!(pods.contains(&pod), "{name}: a NetworkPolicy selects {pod}");
        }
        for object in of_kind(&objects, "Ingress") {
            let service = &object["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"];
            assert!(names(&objects, "Service").contains(text(service)), "{object}");
        }
    }
}

/// The pods that a NetworkPolicy selects, or lets in or out.
fn selected_pods(objects: &[Value]) -> BTreeSet<String> {
    let json: String = of_kind(objects, "NetworkPolicy")
        .iter()
        .map(ToString::to_string)
        .collect();
    let names = json.split("\"app.kubernetes.io/name\":\"").skip(1);
    names
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .collect()
}

#[test]
fn nothing_is_reached_but_what_is_listed() {
    for name in OVERLAYS {
        let objects = overlay(name);
        let closed = of_kind(&objects, "NetworkPolicy").into_iter().any(|policy| {
            let spec = &policy["spec"];
            spec["podSelector"]
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
                && list(&spec["policyTypes"]).len() == 2
                && spec.get("ingress").is_none()
                && spec.get("egress").is_none()
        });
        assert!(closed, "{name} has no default");
        let selected = selected_pods(&objects);
        for deployment in of_kind(&objects, "Deployment") {
            assert!(
                selected.contains(text(&deployment["metadata"]["name"])),
                "{name}: {deployment}"
            );
        }
    }
}

#[test]
fn every_variable_of_a_manifest_is_a_setting() {
    let settings = read(".env.example");
    let is_setting = |name: &str| settings.contains(&format!("\n# {name}=")) || name.starts_with("K8S_");
    // NAME_FILE is the file of NAME's value.
    let is_setting = |name: &str| is_setting(name.strip_suffix("_FILE").unwrap_or(name));
    for name in OVERLAYS {
        let mut objects = overlay(name);
        objects.extend(documents(
            &root().join(format!("deploy/k8s/overlays/{name}/config.yaml")),
        ));
        objects.extend(documents(&root().join(SECRETS)));
        for kind in ["ConfigMap", "Secret"] {
            for object in of_kind(&objects, kind) {
                let data = [&object["data"], &object["stringData"]]
                    .into_iter()
                    .filter_map(Value::as_object);
                for variable in data.flat_map(serde_json::Map::keys) {
                    assert!(is_setting(variable), "{name}: {variable} is not in .env.example");
                }
            }
        }
        for workload in workloads(&objects) {
            for container in list(&workload["spec"]["template"]["spec"]["containers"]) {
                for variable in list(&container["env"]) {
                    assert!(is_setting(text(&variable["name"])), "{name}: {variable}");
                }
            }
        }
    }
}

/// Those that the autoscaler sends to Prometheus.
pub(super) fn queries() -> Vec<String> {
    let objects = overlay("production");
    let scaled = of_kind(&objects, "ScaledObject");
    let triggers = scaled.iter().flat_map(|it| list(&it["spec"]["triggers"]));
    triggers
        .filter(|trigger| trigger["type"] == "prometheus")
        .map(|trigger| text(&trigger["metadata"]["query"]).to_owned())
        .collect()
}

#[test]
fn workers_are_scaled_by_metrics_that_exist() {
    let known = Series::known();
    let queries = queries();
    assert_eq!(queries.len(), 2);
    for query in queries {
        assert_eq!(known.unknown(&query), [""; 0], "{query}");
    }
}

/// What a program prints, as objects; `None` if it is not installed.
fn rendered(program: &str, arguments: &[&str]) -> Option<Vec<Value>> {
    let Ok(output) = Command::new(program).args(arguments).current_dir(root()).output() else {
        eprintln!("{program} is not installed");
        return None;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rendered = String::from_utf8(output.stdout).unwrap();
    Some(serde_saphyr::from_multiple(&rendered).unwrap())
}

fn kustomized(overlay: &str) -> Option<Vec<Value>> {
    rendered(
        "kubectl",
        &["kustomize", &format!("deploy/k8s/overlays/{overlay}")],
    )
}

#[test]
fn the_chart_is_that_of_its_source() {
    Xtask::new("chart").run("chart --check").succeeds();
}

/// helm renders the objects of the overlay, where helm and kubectl are installed.
#[test]
fn the_chart_has_the_objects_of_production() {
    let chart = ["template", "throughline", "deploy/helm"];
    let Some((expected, installed)) = kustomized("production").zip(rendered("helm", &chart)) else {
        return;
    };
    let by_name = |objects: Vec<Value>| -> BTreeMap<String, Value> {
        let named = objects.into_iter().filter(Value::is_object).map(|mut object| {
            // helm has the namespace as an argument, and its hooks only in an upgrade.
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.remove("namespace");
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.retain(|name, _| !name.starts_with("helm.sh/"));
            }
            (
                format!("{} {}", text(&object["kind"]), object["metadata"]["name"]),
                object,
            )
        });
        named.collect()
    };
    let (mut expected, installed) = (by_name(expected), by_name(installed));
    expected.retain(|name, _| !name.starts_with("Namespace "));
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&installed), names(&expected));
    for (name, object) in &expected {
        assert_eq!(&installed[name], object, "{name}");
    }
    let upgrade = rendered(
        "helm",
        &[&chart[..], &["--is-upgrade", "--set=keda=false,ingress=false"]].concat(),
    );
    let upgrade = upgrade.unwrap();
    let job = of_kind(&upgrade, "Job").remove(0);
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "pre-upgrade");
    assert_eq!(of_kind(&upgrade, "HorizontalPodAutoscaler").len(), 2);
    assert_eq!(
        of_kind(&upgrade, "Ingress").len() + of_kind(&upgrade, "ScaledObject").len(),
        0
    );
    let lint = Command::new("helm")
        .args(["lint", "--strict", "deploy/helm"])
        .current_dir(root())
        .output();
    assert!(lint.unwrap().status.success());
}

/// kubectl renders the overlays with their patches, where it is installed; the other tests need no kubectl.
#[test]
fn kustomize_renders_the_overlays() {
    for name in OVERLAYS {
        let Some(objects) = kustomized(name) else {
            return;
        };
        let namespace = if name == "production" {
            "throughline"
        } else {
            "throughline-development"
        };
        for object in &objects {
            let place = if object["kind"] == "Namespace" {
                "name"
            } else {
                "namespace"
            };
            assert_eq!(object["metadata"][place], namespace, "{object}");
        }
        let scalers = of_kind(&objects, "HorizontalPodAutoscaler");
        let scaled = of_kind(&objects, "ScaledObject");
        let targets = scalers
            .iter()
            .chain(&scaled)
            .map(|it| text(&it["spec"]["scaleTargetRef"]["name"]));
        let mut targets: Vec<&str> = targets.collect();
        targets.sort_unstable();
        assert_eq!(
            targets,
            ["throughline-api", "throughline-worker"],
            "{name}: each is scaled once"
        );
        let settings = &of_kind(&objects, "ConfigMap")[0]["data"];
        let authentication = if name == "production" { "jwt" } else { "off" };
        assert_eq!(settings["AUTH"], authentication, "{name}");
    }
}

/// The configuration of the collector in a cluster has parts that other files have too.
#[test]
fn the_collector_in_a_cluster_masks_and_names_as_the_one_of_compose() {
    let [cluster, base, overlay] = [
        &format!("{COLLECTOR}/collector.yaml"),
        "otel-collector-config.yaml",
        "deploy/collector/observability.yaml",
    ]
    .map(|path| documents(&root().join(path)).remove(0));
    for config in [&base, &overlay] {
        for (name, processor) in config["processors"].as_object().unwrap() {
            assert_eq!(&cluster["processors"][name], processor, "{name}");
        }
    }
    assert_eq!(
        cluster["exporters"]["prometheus"],
        overlay["exporters"]["prometheus"]
    );
    assert_eq!(
        cluster["service"]["telemetry"]["metrics"]["readers"],
        overlay["service"]["telemetry"]["metrics"]["readers"]
    );
    let statements = |config: &Value| config["receivers"]["sqlquery/postgresql"]["queries"].clone();
    assert_eq!(statements(&cluster), statements(&overlay));
    for (name, pipeline) in cluster["service"]["pipelines"].as_object().unwrap() {
        let parts = |kind: &str| list(&pipeline[kind]).iter().map(text).collect::<Vec<_>>();
        for kind in ["receivers", "processors", "exporters"] {
            let exists = |part: &&str| cluster[kind].get(*part).is_some();
            assert!(parts(kind).iter().all(exists), "{name}: {kind}");
        }
        let masks = !parts("receivers").contains(&"otlp") || parts("processors").contains(&"redaction");
        assert!(masks, "{name}");
    }
}

/// What samples in a layer of its own is what one collector samples with, and all spans of a trace get there.
#[test]
fn several_samplers_decide_as_one_does() {
    let read = |path: String| documents(&root().join(path)).remove(0);
    let cluster = read(format!("{COLLECTOR}/collector.yaml"));
    let sampler = read(format!("{SAMPLING}/sampling.yaml"));
    for kind in ["processors", "exporters", "extensions"] {
        for (name, part) in sampler[kind].as_object().unwrap() {
            assert_eq!(&cluster[kind][name], part, "{name}");
        }
    }
    assert_eq!(cluster["service"]["telemetry"], sampler["service"]["telemetry"]);
    let processors = &sampler["service"]["pipelines"]["traces"]["processors"];
    assert!(list(processors).contains(&"tail_sampling".into()), "{processors}");
    let first = read(format!("{SAMPLING}/load-balancing.yaml"));
    let balancing = &first["exporters"]["load_balancing"];
    assert_eq!(balancing["routing_key"], "traceID");
    assert_eq!(
        first["service"]["pipelines"]["traces"]["exporters"][0],
        "load_balancing"
    );
    let objects = resources(&root().join(SAMPLING));
    let host = text(&balancing["resolver"]["dns"]["hostname"]).split('.').next();
    let services = of_kind(&objects, "Service").into_iter();
    let mut headless = services.filter(|it| it["spec"]["clusterIP"] == "None");
    let service = headless.next().unwrap();
    assert_eq!(service["metadata"]["name"].as_str(), host);
    assert_eq!(
        balancing["resolver"]["dns"]["port"],
        service["spec"]["ports"][0]["port"].to_string()
    );
}

/// docker compose mounts files that exist, and its services depend on each other.
#[test]
fn every_file_and_service_that_compose_names_exists() {
    let compose = documents(&root().join("docker-compose.yml")).remove(0);
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for volume in list(&service["volumes"]) {
            let source = text(volume).split(':').next().unwrap();
            let exists = match source.strip_prefix("./") {
                Some(path) => root().join(path).exists(),
                None => compose["volumes"].get(source).is_some(),
            };
            assert!(exists, "{name}: {volume}");
        }
        for other in service["depends_on"].as_object().into_iter().flatten() {
            assert!(services.contains_key(other.0), "{name}: {}", other.0);
        }
    }
    assert_eq!(text(&services["load"]["profiles"][0]), "load");
    for name in ["api", "worker", "gateway", "lens"] {
        let program = format!("throughline-{name}");
        let check = &services[name]["healthcheck"]["test"];
        assert_eq!(check, &serde_json::json!(["CMD", program, "health"]), "{name}");
    }
    for name in ["prometheus", "grafana", "jaeger"] {
        assert_eq!(text(&services[name]["profiles"][0]), "observability", "{name}");
    }
    let overlay = read("deploy/compose/observability.env");
    let overlay = overlay
        .lines()
        .find_map(|line| line.strip_prefix("COLLECTOR_OVERLAY=overlays/"));
    assert!(root().join("deploy/collector").join(overlay.unwrap()).is_file());
}
