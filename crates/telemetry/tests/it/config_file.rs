//! `OTEL_CONFIG_FILE` in a whole program.

use std::path::PathBuf;

use lens::Span;

use crate::probe::{Task, run};
use crate::support::{start_lens, text};

const DOCS: &str = include_str!("../../../../docs/telemetry.md");

/// A file that is deleted when dropped.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let name = format!("throughline-{}.yaml", uuid::Uuid::new_v4());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn spans(lens: &lens::Lens) -> Vec<Span> {
    let traces = lens.store().traces();
    traces.into_iter().flat_map(|trace| trace.spans).collect()
}

/// The example of the documentation.
fn example() -> File {
    let (_, example) = DOCS.split_once("```yaml\nfile_format:").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    File::new(&format!("file_format:{example}"))
}

#[tokio::test]
async fn the_example_of_the_documentation_configures_a_program() {
    let lens = start_lens(0, 0).await;
    let (file, endpoint) = (example(), lens.otlp_http_url());
    let run = async |ratio: &str| {
        let env = [
            ("OTEL_CONFIG_FILE", file.path()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_RESOURCE_ATTRIBUTES", "cloud.region=eu-west-1"),
            ("SAMPLE_RATIO", ratio),
            ("API_KEY", "hunter2"),
        ];
        run(Task::Once, &env).await.join("\n")
    };
    let lines = run("1").await;
    let replaced = "without effect, as OTEL_CONFIG_FILE is set: OTEL_TRACES_SAMPLER";
    assert!(lines.contains(replaced), "{lines}");
    assert!(!lines.contains("hunter2"), "{lines}");
    assert_eq!(spans(&lens).len(), 2);
    let span = spans(&lens).remove(0);
    for (name, value) in [
        ("service.name", "shop"),
        ("service.version", "1.0.0"),
        ("cloud.region", "eu-west-1"),
    ] {
        assert_eq!(text(&span.resource, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(lens.store().logs().len(), 2, "the warning and the error");

    run("0").await;
    assert_eq!(spans(&lens).len(), 2, "none of the second run");
    assert_eq!(lens.store().logs().len(), 4);
}

#[tokio::test]
async fn a_file_can_have_several_processors_and_views() {
    let (http, grpc) = (start_lens(0, 0).await, start_lens(0, 0).await);
    let file = File::new(&format!(
        "file_format: \"1.0\"
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: {http}/v1/traces}}}}}}
    - batch: {{exporter: {{otlp_grpc: {{endpoint: {grpc}}}}}}}
    - batch: {{exporter: {{console: }}}}
meter_provider:
  readers:
    - periodic: {{exporter: {{otlp_http: {{endpoint: {http}/v1/metrics}}}}}}
  views:
    - selector: {{instrument_name: probe.*}}
      stream: {{description: All of them.}}
logger_provider:
  processors:
    - simple: {{exporter: {{console: }}}}
",
        http = http.otlp_http_url(),
        grpc = grpc.otlp_grpc_url(),
    ));
    let lines = run(Task::Once, &[("OTEL_CONFIG_FILE", file.path())]).await;
    let names = |lens| {
        let mut names: Vec<_> = spans(lens).into_iter().map(|span| span.name).collect();
        names.sort();
        names
    };
    assert_eq!(names(&http), ["by hand", "work"]);
    assert_eq!(names(&grpc), ["by hand", "work"]);
    let metrics = http.store().metrics();
    let runs = metrics.iter().find(|metric| metric.name == "probe.runs").unwrap();
    assert_eq!(runs.description, "All of them.");
    assert!(http.store().logs().is_empty());
    for line in ["Spans", "Logs", "passed on: None"] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_accepted_ends_the_setup_with_its_path_and_line() {
    let file = File::new("file_format: \"1.0\"\ntracer_provider:\n  samplers:\n");
    let lines = run(Task::Once, &[("OTEL_CONFIG_FILE", file.path())]).await;
    let path = file.path();
    let expected = format!(
        "refused: OTEL_CONFIG_FILE: {path}, line 3: tracer_provider.samplers: does not exist here; takes \
         processors, limits, sampler or id_generator"
    );
    assert_eq!(lines, [expected]);
    let lines = run(Task::Once, &[("OTEL_CONFIG_FILE", "/no/such.yaml")]).await;
    let expected = "refused: OTEL_CONFIG_FILE: /no/such.yaml: No such file or directory (os error 2)";
    assert_eq!(lines, [expected]);
}
