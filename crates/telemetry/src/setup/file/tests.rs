use http::HeaderMap;
use serde_json::{Value, json};

use super::node::{Content, Entry, Node};
use super::scalar::tests::to_json;
use super::*;
use crate::setup::environment;
use crate::setup::exporter::Exporter;

/// The keys of the specification's example that have a meaning here, with the default of each.
const DEFAULTS: &str = r#"
file_format: "1.1"
disabled: false
log_level: info
attribute_limits: {attribute_value_length_limit: , attribute_count_limit: 128}
resource: {attributes: [{name: service.name, value: unknown_service}]}
propagator: {composite: [{tracecontext: }, {baggage: }]}
tracer_provider:
  limits:
    attribute_value_length_limit: null
    attribute_count_limit: &limit 128
    event_count_limit: *limit
    link_count_limit: *limit
    event_attribute_count_limit: *limit
    link_attribute_count_limit: *limit
  id_generator:
    random:
  sampler:
    parent_based:
      root: &on
        always_on:
      remote_parent_sampled: *on
      remote_parent_not_sampled: &off
        always_off: {}
      local_parent_sampled: *on
      local_parent_not_sampled: *off
  processors:
    - batch:
        schedule_delay: 5000
        export_timeout: 30000
        max_queue_size: 2048
        max_export_batch_size: 512
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/traces
            timeout: 10000
            compression: none
            encoding: protobuf
            headers_list:
            tls: &tls
              ca_file:
              cert_file: ~
              key_file: null
meter_provider:
  exemplar_filter: always_off
  readers:
    - periodic:
        interval: 60000
        timeout: 30000
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/metrics
            tls: *tls
            temporality_preference: cumulative
            default_histogram_aggregation: explicit_bucket_histogram
logger_provider:
  limits: {attribute_value_length_limit: , attribute_count_limit: 128}
  processors:
    - batch:
        schedule_delay: 1000
        export_timeout: 30000
        max_queue_size: 2048
        max_export_batch_size: 512
        exporter:
          otlp_http:
            endpoint: http://localhost:4318/v1/logs
            tls: *tls
"#;

fn read(text: &str) -> Result<Configuration, String> {
    read_with(text, &Env::of([]))
}

fn read_with(text: &str, env: &Env) -> Result<Configuration, String> {
    parse(text, env).map_err(|Malformation { line, reason }| format!("line {line}: {reason}"))
}

/// The document as JSON, after substitution.
fn json(text: &str, env: &Env) -> Result<Value, String> {
    let root = node::parse(text, &mut Substitution::new(env)).map_err(|error| error.reason)?;
    Ok(node_to_json(&root))
}

fn node_to_json(node: &Node) -> Value {
    match &node.content {
        Content::Scalar(scalar) => to_json(scalar),
        Content::List(items) => items.iter().map(|item| node_to_json(item)).collect(),
        Content::Mapping(entries) => {
            let member = |entry: &Entry| (entry.key.clone(), node_to_json(&entry.value));
            entries.iter().map(member).collect()
        }
    }
}

fn headers(configuration: &Configuration) -> &HeaderMap {
    match &configuration.traces[0].exporter {
        Exporter::Otlp(otlp) => &otlp.headers,
        other => panic!("{other:?}"),
    }
}

/// All of it, except what differs between equal ones: whether keys are static, and the order of the headers
/// of propagators.
fn shown(configuration: &Configuration) -> String {
    let text = format!("{configuration:?}").replace("Static(", "Owned(");
    let (before, rest) = text.split_once("fields: [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    format!("{before}{after}")
}

/// The table of the specification, "Environment variable substitution".
#[test]
fn variables_are_substituted_as_the_specification_has_it() {
    let env = Env::of([
        ("STRING_VALUE", "value"),
        ("BOOL_VALUE", "true"),
        ("INT_VALUE", "1"),
        ("FLOAT_VALUE", "1.1"),
        ("HEX_VALUE", "0xdeadbeef"),
        ("INVALID_MAP_VALUE", "value\nkey:value"),
        ("DO_NOT_REPLACE_ME", "Never use this value"),
        ("REPLACE_ME", "${DO_NOT_REPLACE_ME}"),
        ("VALUE_WITH_ESCAPE", "value$$"),
    ]);
    for (input, expected) in [
        ("key: ${STRING_VALUE}", json!("value")),
        ("key: ${BOOL_VALUE}", json!(true)),
        ("key: ${INT_VALUE}", json!(1)),
        ("key: ${FLOAT_VALUE}", json!(1.1)),
        ("key: ${HEX_VALUE}", json!(3_735_928_559_u32)),
        ("key: \"${STRING_VALUE}\"", json!("value")),
        ("key: \"${BOOL_VALUE}\"", json!("true")),
        ("key: \"${INT_VALUE}\"", json!("1")),
        ("key: \"${FLOAT_VALUE}\"", json!("1.1")),
        ("key: \"${HEX_VALUE}\"", json!("0xdeadbeef")),
        ("key: ${env:STRING_VALUE}", json!("value")),
        ("key: ${INVALID_MAP_VALUE}", json!("value\nkey:value")),
        ("key: foo ${STRING_VALUE} ${FLOAT_VALUE}", json!("foo value 1.1")),
        ("key: ${UNDEFINED_KEY}", json!(null)),
        ("key: ${UNDEFINED_KEY:-fallback}", json!("fallback")),
        ("key: ${REPLACE_ME}", json!("${DO_NOT_REPLACE_ME}")),
        ("key: ${UNDEFINED_KEY:-${STRING_VALUE}}", json!("${STRING_VALUE}")),
        ("key: $${STRING_VALUE}", json!("${STRING_VALUE}")),
        ("key: $$${STRING_VALUE}", json!("$value")),
        ("key: $$$${STRING_VALUE}", json!("$${STRING_VALUE}")),
        (
            "key: $${STRING_VALUE:-fallback}",
            json!("${STRING_VALUE:-fallback}"),
        ),
        (
            "key: $${STRING_VALUE:-${STRING_VALUE}}",
            json!("${STRING_VALUE:-value}"),
        ),
        (
            "key: ${UNDEFINED_KEY:-$${UNDEFINED_KEY}}",
            json!("${UNDEFINED_KEY:-${UNDEFINED_KEY}}"),
        ),
        ("key: ${VALUE_WITH_ESCAPE}", json!("value$$")),
        ("key: a $$ b", json!("a $ b")),
        ("key: a $ b", json!("a $ b")),
    ] {
        assert_eq!(json(input, &env), Ok(json!({ "key": expected })), "{input}");
    }
    assert_eq!(
        json("${STRING_VALUE}: value", &env),
        Ok(json!({"${STRING_VALUE}": "value"}))
    );
    assert_eq!(
        json("key: ${STRING_VALUE:?error}", &env).unwrap_err(),
        "`${STRING_VALUE:?error}` names no variable; takes ${NAME}, ${env:NAME} or ${NAME:-default}"
    );
}

#[test]
fn tags_and_block_scalars_are_texts_and_aliases_are_what_they_name() {
    let text = "a: !!str 1\nb: |\n  ${X}\nc: &c [1, 2.5]\nd: *c # comment";
    assert_eq!(
        json(text, &Env::of([("X", "7")])),
        Ok(json!({"a": "1", "b": "7\n", "c": [1, 2.5], "d": [1, 2.5]}))
    );
}

#[test]
fn the_defaults_of_the_specification_are_the_configuration_without_variables() {
    let from_file = read(DEFAULTS).unwrap();
    let variables = [
        ("OTEL_SERVICE_NAME", "unknown_service"),
        ("OTEL_LOG_LEVEL", "info"),
    ];
    let from_variables = environment::read(&Env::of(variables)).unwrap();
    // The file names the samplers of spans with a parent, which are those of `ParentBased`.
    let sampler = "ParentBasedSampler { root: AlwaysOn, remote_parent_sampled: Some(AlwaysOn), \
                   remote_parent_not_sampled: Some(AlwaysOff), local_parent_sampled: Some(AlwaysOn), \
                   local_parent_not_sampled: None }";
    let from_file = shown(&from_file).replace(sampler, "ParentBased(AlwaysOn)");
    assert_eq!(from_file, shown(&from_variables));
}

#[test]
fn a_file_and_variables_make_the_same_configuration() {
    let file = r#"
file_format: "1.1"
log_level: warn2
attribute_limits:
  attribute_value_length_limit: 200
  attribute_count_limit: 64
resource:
  attributes:
    - name: service.name
      value: shop
  attributes_list: team=north%20east,service.name=listed
propagator:
  composite:
    - tracecontext:
tracer_provider:
  processors:
    - batch:
        schedule_delay: 1000
        export_timeout: 20000
        max_queue_size: 100
        exporter:
          otlp_http:
            endpoint: https://${COLLECTOR}:4318/v1/traces
            compression: gzip
            timeout: 25000
            encoding: json
            headers_list: x-team=shop,x-api-key=old
            headers:
              - name: x-api-key
                value: ${KEY}
  limits:
    attribute_value_length_limit: 100
    event_count_limit: 1
    link_count_limit: 2
    event_attribute_count_limit: 3
    link_attribute_count_limit: 4
  sampler:
    trace_id_ratio_based:
      ratio: 0.25
meter_provider:
  readers:
    - periodic:
        interval: 5000
        timeout: 4000
        exporter:
          otlp_grpc:
            endpoint: collector:4317
            tls:
              insecure: true
            temporality_preference: low_memory
            default_histogram_aggregation: explicit_bucket_histogram
logger_provider:
  processors:
    - simple:
        exporter:
          console:
  limits:
    attribute_count_limit: 8
"#;
    let outside = [("ENVIRONMENT", "staging"), ("RUST_LOG", "debug")];
    let file_env = [("COLLECTOR", "collector"), ("KEY", "a b")];
    let variables = [
        ("OTEL_LOG_LEVEL", "warn"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "200"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "64"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "team=north%20east,service.name=listed",
        ),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_PROPAGATORS", "tracecontext"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "20000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://collector:4318/v1/traces",
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "25000"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-team=shop,x-api-key=a%20b"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "2"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "4"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "4000"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "true"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "8"),
    ];
    let from_file = read_with(file, &outside.into_iter().chain(file_env).collect()).unwrap();
    let from_variables = environment::read(&outside.into_iter().chain(variables).collect()).unwrap();
    assert_eq!(shown(&from_file), shown(&from_variables));
    assert_eq!(headers(&from_file), headers(&from_variables));
    assert_eq!(headers(&from_file)["x-api-key"], "a b");
}

#[test]
fn a_header_is_shown_by_no_debug_and_no_refusal() {
    let exporter = |header: &str| {
        format!(
            "file_format: '1.0'\ntracer_provider: {{processors: [{{batch: {{exporter: {{otlp_http: {header}}}}}}}]}}"
        )
    };
    let env = Env::of([("KEY", "hunter2")]);
    let valid = exporter("{headers: [{name: x-api-key, value: '${KEY}'}]}");
    let configuration = read_with(&valid, &env).unwrap();
    assert_eq!(headers(&configuration)["x-api-key"], "hunter2");
    assert!(!format!("{configuration:?}").contains("hunter2"));
    for invalid in [
        "{headers: [{name: x-api-key, value: \"hunter2\\n\"}]}",
        "{headers: '${KEY}'}",
        "{headers: [{name: 'x-api-key: hunter2', value: 1}]}",
        "{headers_list: 'x-api-key hunter2'}",
        "{timeout: '${KEY}'}",
        "{endpoint: 'ftp://user:hunter2@host'}",
        "'${KEY}'",
    ] {
        let refused = read_with(&exporter(invalid), &env).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

/// A whole file with this line.
fn with_line(line: &str) -> String {
    format!("file_format: \"1.1\"\n{line}\n")
}

#[test]
fn what_does_not_exist_here_is_refused_by_its_path_and_line() {
    for (text, expected) in [
        ("", "line 1: got nothing; takes a mapping"),
        ("a: [", "line 1: unclosed bracket '['"),
        ("a: *b", "line 1: while parsing node, found unknown anchor"),
        ("- a", "line 1: got a list; takes a mapping"),
        ("--- {}\n--- {}", "line 2: a second document; takes one"),
        ("disabled: true", "line 1: file_format is required"),
        ("disabled: true\ndisabled: true", "line 1: disabled is set twice"),
        (
            "file_format: 1.0",
            "line 1: file_format: got a number; takes a text",
        ),
        (
            "file_format: \"0.4\"",
            "line 1: file_format: got `0.4`; takes \"1.0\" or \"1.1\"",
        ),
    ] {
        assert_eq!(read(text).unwrap_err(), expected, "{text}");
    }
    for (line, expected) in [
        (
            "instrumentation/development: {}",
            "instrumentation/development: does not exist here; takes file_format, disabled, log_level, \
             attribute_limits, resource, propagator, tracer_provider, meter_provider or logger_provider",
        ),
        (
            "log_level: loud",
            "log_level: got `loud`; takes trace, debug, info, warn, error or fatal, each also with 2, 3 or 4 at its \
             end",
        ),
        ("disabled: 1", "disabled: got an integer; takes a boolean"),
        (
            "attribute_limits: {attribute_count_limit: -1}",
            "attribute_limits.attribute_count_limit: got `-1`; takes an integer from 0",
        ),
        (
            "attribute_limits: {attribute_value_depth_limit: 64}",
            "attribute_limits.attribute_value_depth_limit: does not exist here; takes \
             attribute_value_length_limit or attribute_count_limit",
        ),
        ("resource: 7", "resource: got an integer; takes a mapping"),
        (
            "resource: {detection/development: {detectors: []}}",
            "resource.detection/development: does not exist here; takes attributes, attributes_list or schema_url",
        ),
        (
            "resource: {attributes: [{name: a, value: 1}]}",
            "resource.attributes[0].value: takes a value of the attribute's type, a text without `type`",
        ),
        (
            "resource: {attributes: [{name: a}]}",
            "resource.attributes[0]: value is required",
        ),
        (
            "resource: {attributes_list: a}",
            "resource.attributes_list: got `a`; takes a list name=value,name=value, with percent-encoded values",
        ),
        (
            "propagator: {composite: [{b3: }]}",
            "propagator.composite[0].b3: does not exist here; takes tracecontext or baggage",
        ),
        (
            "propagator: {composite: [baggage]}",
            "propagator.composite[0]: got a text; takes a mapping, `baggage:`",
        ),
        (
            "propagator: {composite_list: xray}",
            "propagator.composite_list: got `xray`; takes a list of tracecontext and baggage, or none",
        ),
        ("tracer_provider: {}", "tracer_provider: processors is required"),
        (
            "tracer_provider: {processors: [{batch: }]}",
            "tracer_provider.processors[0].batch: exporter is required",
        ),
        (
            "tracer_provider: {processors: [{batch: , simple: }]}",
            "tracer_provider.processors[0]: takes one of batch or simple",
        ),
        (
            "tracer_provider: {processors: [{simple: {exporter: {otlp_http: }}}]}",
            "tracer_provider.processors[0].simple.exporter.otlp_http: does not exist here; takes console",
        ),
        (
            "tracer_provider: {processors: [{batch: {exporter: {otlp_file/development: }}}]}",
            "tracer_provider.processors[0].batch.exporter.otlp_file/development: does not exist here; takes \
             otlp_http, otlp_grpc or console",
        ),
        (
            "tracer_provider: {processors: [{batch: {max_export_batch_size: 9000, exporter: {console: }}}]}",
            "tracer_provider.processors[0].batch.max_export_batch_size: got `9000`; takes a number from 1 to 2048",
        ),
        (
            "tracer_provider: {processors: [{batch: {schedule_delay: 0, exporter: {console: }}}]}",
            "tracer_provider.processors[0].batch.schedule_delay: got `0`; takes a number of milliseconds above 0",
        ),
        (
            "tracer_provider: {processors: [], sampler: {jaeger_remote/development: {}}}",
            "tracer_provider.sampler.jaeger_remote/development: does not exist here; takes always_off, always_on, \
             parent_based or trace_id_ratio_based",
        ),
        (
            "tracer_provider: {processors: [], sampler: {trace_id_ratio_based: {ratio: 1.5}}}",
            "tracer_provider.sampler.trace_id_ratio_based.ratio: got `1.5`; takes a number from 0 to 1",
        ),
        (
            "tracer_provider: {processors: [], sampler: {parent_based: {local_parent_not_sampled: {always_on: }}}}",
            "tracer_provider.sampler.parent_based.local_parent_not_sampled.always_on: does not exist here; takes \
             always_off",
        ),
        (
            "tracer_provider: {processors: [], tracer_configurator/development: }",
            "tracer_provider.tracer_configurator/development: does not exist here; takes processors, limits, sampler \
             or id_generator",
        ),
        (
            "meter_provider: {readers: [{pull: }]}",
            "meter_provider.readers[0].pull: does not exist here; takes periodic",
        ),
        (
            "meter_provider: {readers: [], exemplar_filter: trace_based}",
            "meter_provider.exemplar_filter: got `trace_based`; takes always_off",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }, cardinality_limits: }}]}",
            "meter_provider.readers[0].periodic.cardinality_limits: does not exist here; takes interval, timeout or \
             exporter",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {attribute_keys: {excluded: [a]}}}]}",
            "meter_provider.views[0].stream.attribute_keys.excluded: does not exist here; takes included",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {attribute_keys: {included: ['a*']}}}]}",
            "meter_provider.views[0].stream.attribute_keys.included: takes attribute keys without `*` and `?`",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {instrument_name: 'a*'}, stream: {name: b}}]}",
            "meter_provider.views[0].stream.name: takes the name of a stream if the selector names one instrument",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {aggregation_cardinality_limit: 0}}]}",
            "meter_provider.views[0].stream: Cardinality limit must be greater than 0",
        ),
        (
            "logger_provider: {processors: [{event_to_span_event_bridge/development: }]}",
            "logger_provider.processors[0].event_to_span_event_bridge/development: does not exist here; takes batch or \
             simple",
        ),
        (
            "distribution: {vendor: {}}",
            "distribution: does not exist here; takes file_format, disabled, log_level, attribute_limits, resource, \
             propagator, tracer_provider, meter_provider or logger_provider",
        ),
    ] {
        let refused = read(&with_line(line)).unwrap_err();
        assert_eq!(refused, format!("line 2: {expected}"), "{line}");
    }
}

#[test]
fn a_setting_of_an_exporter_is_refused_by_its_path_and_line() {
    for (line, expected) in [
        (
            "endpoint: localhost:4318",
            ".endpoint: got `localhost:4318`; takes a URL such as http://localhost:4318 or https://otlp.example.com",
        ),
        (
            "compression: zstd",
            ".compression: got `zstd`; takes gzip or none",
        ),
        ("timeout: soon", ".timeout: got a text; takes an integer from 0"),
        ("encoding: xml", ".encoding: got `xml`; takes protobuf or json"),
        ("tls: {insecure: true}", ".tls.insecure: does not exist here"),
        (
            "tls: {ca_file: ca.pem}",
            ".tls.ca_file: got `ca.pem`; takes the absolute path of a readable PEM file",
        ),
        (
            "temporality_preference: delta",
            ".temporality_preference: does not exist here",
        ),
        (
            "default_histogram_aggregation: base2_exponential_bucket_histogram",
            ".default_histogram_aggregation: got `base2_exponential_bucket_histogram`; takes explicit_bucket_histogram",
        ),
        (
            "max_request_size: 1",
            ".max_request_size: does not exist here; takes endpoint, tls, headers, headers_list, compression, timeout, \
             encoding, temporality_preference or default_histogram_aggregation",
        ),
        (
            "headers: [{name: 'a b', value: c}]",
            ".headers[0].name: takes the name of an HTTP header",
        ),
    ] {
        let text = format!(
            "file_format: '1.0'\ntracer_provider:\n  processors:\n    - batch:\n        exporter:\n          \
             otlp_http:\n            {line}\n"
        );
        let path = "tracer_provider.processors[0].batch.exporter.otlp_http";
        assert_eq!(
            read(&text).unwrap_err(),
            format!("line 7: {path}{expected}"),
            "{line}"
        );
    }
    let text = "file_format: '1.0'\nlogger_provider: {processors: [{batch: {exporter: {otlp_grpc: {encoding: json}}}}]}";
    let refused = read(text).unwrap_err();
    let path = "logger_provider.processors[0].batch.exporter.otlp_grpc.encoding";
    assert_eq!(refused, format!("line 2: {path}: does not exist here"));
}

#[test]
fn outside_development_headers_cross_no_public_network_in_plain_text() {
    let exporter = "{otlp_http: {endpoint: 'http://otlp.example.com/v1/logs', headers_list: a=b}}";
    let text = with_line(&format!(
        "logger_provider: {{processors: [{{batch: {{exporter: {exporter}}}}}]}}"
    ));
    assert!(read(&text).is_ok());
    let refused = read_with(&text, &Env::of([("ENVIRONMENT", "production")])).unwrap_err();
    let expected = "line 2: logger_provider.processors[0].batch.exporter.otlp_http: endpoint: got `http://***`; takes \
                    https:// with headers, as the host is neither loopback nor private";
    assert!(refused.starts_with(expected), "{refused}");
}

#[test]
fn a_signal_without_a_provider_and_a_disabled_sdk_are_not_exported() {
    let empty = read("file_format: '1.0'").unwrap();
    assert!(empty.traces.is_empty() && empty.metrics.is_empty() && empty.logs.is_empty());
    let disabled = read(&DEFAULTS.replace("disabled: false", "disabled: true")).unwrap();
    assert!(disabled.traces.is_empty() && disabled.metrics.is_empty() && disabled.logs.is_empty());
}

#[test]
fn a_variable_that_is_replaced_and_a_later_format_are_reported() {
    let env = Env::of([
        ("OTEL_CONFIG_FILE", "otel.yaml"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_METRICS_EXPORTER", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ]);
    let text = "file_format: '1.7'\nresource: {attributes_list: 'a=${OTEL_SERVICE_NAME}'}";
    assert_eq!(
        read_with(text, &env).unwrap().warnings,
        [
            "file_format 1.7 is later than 1.1, by which the configuration is read",
            "without effect, as OTEL_CONFIG_FILE is set: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER",
        ]
    );
}

#[test]
fn a_resource_has_attributes_of_each_type() {
    let configuration = read(&with_line(
        "resource: {schema_url: 'https://example.com/1', attributes: [{name: a, value: b, type: string}, \
         {name: c, value: true, type: bool}, {name: d, value: 1, type: int}, {name: e, value: 2, type: double}, \
         {name: f, value: [x], type: string_array}, {name: g, value: [true], type: bool_array}, \
         {name: h, value: [3], type: int_array}, {name: i, value: [4, 5.5], type: double_array}, \
         {name: j, value: }]}",
    ));
    let configuration = configuration.unwrap();
    let attributes = configuration.attributes.iter();
    let shown: Vec<_> = attributes
        .map(|it| format!("{}={:?}", it.key, it.value))
        .collect();
    assert_eq!(
        shown.join(" "),
        "a=String(Owned(\"b\")) c=Bool(true) d=I64(1) e=F64(2.0) f=Array(String([Owned(\"x\")])) \
         g=Array(Bool([true])) h=Array(I64([3])) i=Array(F64([4.0, 5.5]))"
    );
    assert_eq!(configuration.schema_url, "https://example.com/1");
}

#[test]
fn samplers_nest() {
    let text = with_line(
        "tracer_provider: {processors: [], sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.5}}, \
         remote_parent_sampled: {trace_id_ratio_based: }, remote_parent_not_sampled: {always_on: }}}}",
    );
    assert_eq!(
        format!("{:?}", read(&text).unwrap().sampler),
        "ParentBasedSampler { root: TraceIdRatioBased(0.5), remote_parent_sampled: Some(TraceIdRatioBased(1.0)), \
         remote_parent_not_sampled: Some(AlwaysOn), local_parent_sampled: None, local_parent_not_sampled: None }"
    );
}

#[test]
fn no_text_makes_the_reader_panic() {
    let ends = DEFAULTS.char_indices().map(|(end, _)| DEFAULTS[..end].to_owned());
    let words = [
        "[", "{", "- ", "ä", "${ä", "&a ", "*a", "${X", "$$", "!!int ", "\"", "\t", "\u{feff}", "? ", "|",
        "null",
    ];
    let values = DEFAULTS
        .match_indices(": ")
        .map(|(colon, _)| DEFAULTS.split_at(colon + 2));
    let changed = values.flat_map(|(before, after)| words.map(|word| format!("{before}{word}{after}")));
    let nested = ["[", "{a: ", "- ", "? "].map(|word| word.repeat(5_000));
    for text in ends.chain(changed).chain(nested) {
        let _ = read(&text);
    }
}

#[test]
fn deep_nesting_by_aliases_is_refused() {
    let links = (1..200).map(|number| format!("a{number}: &a{number} [*a{}]\n", number - 1));
    let text = format!("a0: &a0 []\n{}", links.collect::<String>());
    assert_eq!(read(&text).unwrap_err(), "line 33: nested too deep");
}
