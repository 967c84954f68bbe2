//! For each rule: a capture with one change breaks it. The unchanged capture breaks none, as the test in
//! `mod.rs` shows.

use std::sync::Arc;

use lens::{Attributes, Metric, PointValue, Severity, Span, SpanId, SpanKind, Status, Value};
use throughline_e2e::contract::{Capture, Line, Rule, check};

use super::{captured, reported};

/// `a_name: Rule, |capture| change;` is a test that the change breaks the rule.
macro_rules! broken_by {
    ($($name:ident: $rule:ident, $change:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let mut capture = captured().await.clone();
                assert!(!reported().await.breaks(Rule::$rule), "before the change");
                let change: fn(&mut Capture) = $change;
                change(&mut capture);
                assert!(check(&capture).breaks(Rule::$rule));
            }
        )+

        #[test]
        fn every_rule_has_a_test() {
            let tested = [$(Rule::$rule,)+];
            for rule in Rule::ALL {
                assert!(tested.contains(rule), "{rule}");
            }
        }
    };
}

broken_by! {
    a_metric_that_is_missing: NeverSeen, |capture| capture.metrics.retain(|it| it.name != "orders.cancelled");
    a_span_kind_that_is_missing: NeverSeen, |capture| for trace in &mut capture.traces {
        trace.spans.retain(|span| span.kind != SpanKind::Producer);
    };
    an_endpoint_that_was_not_requested: NeverSeen, |capture| for trace in &mut capture.traces {
        trace.spans.retain(|span| span.name != "POST /api/orders/{id}/retry");
    };
    a_status_code_that_is_missing: NeverSeen, |capture| for trace in &mut capture.traces {
        let code = Value::Int(429);
        trace.spans.retain(|span| span.attributes.get("http.response.status_code") != Some(&code));
    };
    an_outcome_of_a_job_that_is_missing: NeverSeen, |capture| for trace in &mut capture.traces {
        trace.spans.retain(|span| span.attributes.get_str("error.type") != Some("lease_lost"));
    };
    a_static_file_that_was_not_requested: NeverSeen, |capture| capture.untraced.retain(|path| path != "/docs");
    a_batch_that_is_missing: NeverSeen, |capture| {
        for span in capture.traces.iter_mut().flat_map(|trace| &mut trace.spans) {
            remove(&mut span.attributes, "db.operation.batch.size");
        }
    };
    a_span_named_by_its_raw_path: SpanName, |capture| server(capture).name = "GET /api/orders/17".to_owned();
    a_step_of_another_name: SpanName, |capture| named(capture, "create_order").name = "make_order".to_owned();
    a_kind_that_the_contract_does_not_have: SpanName, |capture| server(capture).kind = SpanKind::Unspecified;
    an_attribute_that_is_missing: AttributeMissing, |capture| remove(&mut server(capture).attributes, "url.path");
    a_response_without_its_code: AttributeMissing, |capture| {
        remove(&mut server(capture).attributes, "http.response.status_code");
    };
    a_call_without_its_code: AttributeMissing, |capture| {
        remove(&mut with_code(capture, SpanKind::Client, 402).attributes, "http.response.status_code");
    };
    an_unknown_method_that_is_not_recorded: AttributeMissing, |capture| {
        let name = "http.request.method_original";
        remove(&mut having(capture, name).attributes, name);
    };
    a_statement_without_its_database: AttributeMissing, |capture| {
        remove(&mut named(capture, "UPDATE orders").attributes, "db.namespace");
    };
    a_statement_without_its_text: AttributeMissing, |capture| {
        remove(&mut named(capture, "SELECT orders").attributes, "db.query.text");
    };
    a_rejected_statement_without_its_sqlstate: AttributeMissing, |capture| {
        remove(&mut failed_by(capture, "check_violation").attributes, "db.response.status_code");
    };
    a_rejected_command_without_its_code: AttributeMissing, |capture| {
        remove(&mut failed_by(capture, "server").attributes, "db.response.status_code");
    };
    a_sent_job_without_its_id: AttributeMissing, |capture| {
        remove(&mut of_kind(capture, SpanKind::Producer).attributes, "messaging.message.id");
    };
    a_job_without_its_attempt: AttributeMissing, |capture| {
        remove(&mut of_kind(capture, SpanKind::Consumer).attributes, "queue.attempt");
    };
    a_read_without_its_order: AttributeMissing, |capture| {
        let read = find(capture, |span| span.name == "GET /api/orders/{id}" && span.order_id().is_some());
        remove(&mut read.attributes, "order.id");
    };
    an_attribute_that_is_not_listed: AttributeUnknown, |capture| {
        set(&mut server(capture).attributes, "order.count", Value::Int(3));
    };
    a_value_that_is_not_listed: AttributeValue, |capture| {
        set(&mut of_kind(capture, SpanKind::Producer).attributes, "messaging.system", text("kafka"));
    };
    a_batch_of_one: AttributeValue, |capture| {
        let name = "db.operation.batch.size";
        set(&mut having(capture, name).attributes, name, Value::Int(1));
    };
    a_sqlstate_of_another_error: AttributeValue, |capture| {
        let span = failed_by(capture, "check_violation");
        set(&mut span.attributes, "db.response.status_code", text("23505"));
    };
    a_raw_path_as_route: Route, |capture| {
        let span = named(capture, "GET /api/orders/{id}");
        let path = span.attributes.get_str("url.path").unwrap().to_owned();
        span.name = format!("GET {path}");
        set(&mut span.attributes, "http.route", text(&path));
    };
    a_request_without_its_route: Route, |capture| {
        let span = named(capture, "GET /api/orders");
        span.name = "GET".to_owned();
        remove(&mut span.attributes, "http.route");
    };
    a_raw_path_in_a_metric: Route, |capture| {
        let points = &mut metric(capture, "http.server.request.duration").points;
        set(&mut points[0].attributes, "http.route", text("/api/orders/17"));
    };
    a_number_sent_as_text: AttributeType, |capture| {
        set(&mut named(capture, "create_order").attributes, "order.items", text("1"));
    };
    a_4xx_that_fails_the_server: Status, |capture| {
        let span = with_code(capture, SpanKind::Server, 404);
        span.status = Status::Error;
        set(&mut span.attributes, "error.type", text("404"));
    };
    a_5xx_that_does_not_fail_the_server: Status, |capture| {
        with_code(capture, SpanKind::Server, 500).status = Status::Unset;
    };
    a_4xx_that_does_not_fail_the_client: Status, |capture| {
        with_code(capture, SpanKind::Client, 402).status = Status::Unset;
    };
    a_success_with_an_error_type: Status, |capture| {
        set(&mut with_code(capture, SpanKind::Server, 200).attributes, "error.type", text("timeout"));
    };
    a_failure_without_an_error_type: Status, |capture| {
        remove(&mut with_code(capture, SpanKind::Server, 500).attributes, "error.type");
    };
    a_message_as_error_type: ErrorType, |capture| {
        let span = with_code(capture, SpanKind::Server, 500);
        set(&mut span.attributes, "error.type", text("connection to 10.0.0.1 refused"));
    };
    an_error_type_that_is_not_listed: ErrorType, |capture| {
        set(&mut failed_by(capture, "check_violation").attributes, "error.type", text("constraint_moving"));
    };
    a_message_as_error_type_of_a_metric: ErrorType, |capture| {
        let points = &mut metric(capture, "db.client.operation.duration").points;
        set(&mut points[0].attributes, "error.type", text("relation \"orders\" does not exist"));
    };
    a_description_that_repeats_the_code: Description, |capture| {
        with_code(capture, SpanKind::Server, 500).status_message = "500".to_owned();
    };
    a_span_that_was_cut: Dropped, |capture| server(capture).dropped.attributes = 1;
    a_bind_value_in_a_statement: QueryText, |capture| {
        let statement = "SELECT * FROM orders WHERE customer = 'Jane Doe, London'";
        set(&mut named(capture, "INSERT orders").attributes, "db.query.text", text(statement));
    };
    a_number_in_a_statement: QueryText, |capture| {
        let statement = "SELECT * FROM orders WHERE customer = 4711";
        set(&mut named(capture, "SELECT orders").attributes, "db.query.text", text(statement));
    };
    a_key_in_a_command: QueryText, |capture| {
        let span = find(capture, |span| span.kind == SpanKind::Client && span.name == "GET");
        set(&mut span.attributes, "db.query.text", text("GET orders:cache:analytics:of:jane"));
    };
    a_parent_that_was_not_exported: Orphan, |capture| {
        named(capture, "create_order").parent_span_id = Some(some_id());
    };
    a_statement_that_begins_a_trace: ClientRoot, |capture| named(capture, "INSERT orders").parent_span_id = None;
    a_health_check_that_is_traced: Untraced, |capture| {
        set(&mut server(capture).attributes, "url.path", text("/health/ready"));
    };
    a_page_that_is_traced: Untraced, |capture| {
        set(&mut server(capture).attributes, "url.path", text("/docs/docs.js"));
    };
    a_health_check_that_is_traced_by_its_client: Untraced, |capture| {
        let span = having(capture, "url.full");
        set(&mut span.attributes, "url.full", text("http://127.0.0.1:8090/health?verbose"));
    };
    a_caller_that_is_linked_to_where_it_is_trusted: Inbound, |capture| {
        let links = of_kind(capture, SpanKind::Consumer).links.clone();
        named(capture, "POST /api/orders").links = links;
    };
    a_caller_that_is_trusted_where_it_is_only_linked_to: Inbound, |capture| {
        let linked = find(capture, |span| span.kind == SpanKind::Server && !span.links.is_empty());
        linked.parent_span_id = Some(linked.links.remove(0).span_id);
    };
    a_caller_that_is_not_ignored: Inbound, |capture| {
        let links = find(capture, |span| span.kind == SpanKind::Server && !span.links.is_empty()).links.clone();
        with_code(capture, SpanKind::Server, 401).links = links;
    };
    a_loop_that_found_no_work: IdleLoop, |capture| {
        let root = named(capture, "reconcile_orders");
        (root.start_unix_nano, root.end_unix_nano) = (1, 2);
    };
    a_step_outside_a_request: IdleLoop, |capture| named(capture, "create_order").parent_span_id = None;
    eleven_steps_of_one_service: InternalSpans, |capture| repeat(capture, "create_order", 11);
    more_than_twenty_short_spans: ShortSpans, |capture| {
        // In no order's trace, which might have more than one attempt.
        let span = named(capture, "SELECT orders");
        span.end_unix_nano = span.start_unix_nano + 1;
        repeat(capture, "SELECT orders", 21);
    };
    a_process_span_without_links: Links, |capture| of_kind(capture, SpanKind::Consumer).links.clear();
    a_process_span_that_is_a_root: Links, |capture| {
        find(capture, |span| span.kind == SpanKind::Consumer && span.parent_span_id.is_some()).parent_span_id = None;
    };
    a_process_span_that_is_no_root_where_it_only_links: Links, |capture| {
        let root = root_job(capture);
        root.parent_span_id = Some(root.links[0].span_id);
    };
    a_root_that_does_not_link_to_its_sender: Links, |capture| root_job(capture).links[0].span_id = some_id();
    a_retry_without_a_link_to_the_attempt_before: Attempts, |capture| {
        let retry = find(capture, |span| span.kind == SpanKind::Consumer && span.links.len() > 1);
        let parent = retry.parent_span_id;
        retry.links.retain(|link| Some(link.span_id) == parent);
    };
    a_retry_that_links_to_another_orders_attempt: Attempts, |capture| {
        let other = of_kind(capture, SpanKind::Consumer).clone();
        let is_retry = |span: &Span| span.kind == SpanKind::Consumer && span.links.len() > 1;
        let retry = find(capture, |span| is_retry(span) && span.order_id() != other.order_id());
        let parent = retry.parent_span_id;
        let link = retry.links.iter_mut().find(|link| Some(link.span_id) != parent).unwrap();
        (link.trace_id, link.span_id) = (other.trace_id, other.span_id);
    };
    a_call_that_hides_that_it_is_a_retry: Resend, |capture| {
        let name = "http.request.resend_count";
        remove(&mut having(capture, name).attributes, name);
    };
    a_payment_that_is_confirmed_before_its_id_is_recorded: Unrecorded, |capture| {
        for trace in &mut capture.traces {
            trace.spans.retain(|span| span.kind != SpanKind::Client || !["GET", "UPDATE orders"].contains(&&*span.name));
        }
    };
    a_declined_card_that_fails_the_job: Declined, |capture| {
        let is_declined = |span: &Span| span.attributes.get_str("order.failure.code") == Some("card_declined");
        let job = find(capture, |span| span.kind == SpanKind::Consumer && is_declined(span));
        job.status = Status::Error;
    };
    a_dispatch_outside_the_orders_trace: OneTrace, |capture| {
        let parent = named(capture, "reconcile_orders").span_id;
        having(capture, "queue.reason").parent_span_id = Some(parent);
    };
    an_attempt_in_another_trace: OneTrace, |capture| {
        of_kind(capture, SpanKind::Consumer).trace_id = "00000000000000000000000000000001".parse().unwrap();
    };
    a_metric_that_is_not_listed: MetricUnknown, |capture| metric(capture, "orders.created").name = "orders.made".to_owned();
    a_metric_in_milliseconds: MetricShape, |capture| {
        metric(capture, "http.server.request.duration").unit = "ms".to_owned();
    };
    a_metric_of_another_description: MetricShape, |capture| {
        metric(capture, "orders.created").description = "Orders that were created.".to_owned();
    };
    a_counter_that_shrinks: MetricShape, |capture| metric(capture, "orders.created").monotonic = false;
    buckets_of_another_kind: MetricShape, |capture| {
        let points = &mut metric(capture, "db.client.operation.duration").points;
        let PointValue::Distribution { bounds, .. } = &mut points[0].value else {
            panic!("a histogram");
        };
        bounds[0] = 0.002;
    };
    a_metric_by_order: MetricAttribute, |capture| {
        set(&mut metric(capture, "orders.created").points[0].attributes, "order.id", text("17"));
    };
    a_request_that_is_measured_without_its_code: MetricAttribute, |capture| {
        let points = &mut metric(capture, "http.server.request.duration").points;
        let answered = points.iter_mut().find(|point| point.attributes.get("error.type").is_none());
        remove(&mut answered.unwrap().attributes, "http.response.status_code");
    };
    a_statement_that_is_measured_without_its_table: MetricAttribute, |capture| {
        let mut metrics = capture.metrics.iter_mut();
        let metric = metrics.find(|it| it.name == "db.client.operation.duration" && it.service == "throughline-worker");
        remove(&mut metric.unwrap().points[0].attributes, "db.collection.name");
    };
    a_metric_with_unbounded_points: MetricAttribute, |capture| {
        let points = &mut metric(capture, "http.server.request.duration").points;
        let point = points[0].clone();
        points.extend(std::iter::repeat_n(point, 100));
    };
    an_error_that_only_the_span_has: SameErrorType, |capture| {
        set(&mut with_code(capture, SpanKind::Server, 500).attributes, "error.type", text("crash"));
    };
    an_error_that_only_the_metric_has: SameErrorType, |capture| {
        let metric = metric(capture, "http.server.request.duration");
        set(&mut metric.points[0].attributes, "error.type", text("crash"));
    };
    a_resource_without_a_host: Resource, |capture| remove(resource(server(capture)), "host.name");
    a_resource_with_more: Resource, |capture| set(resource(server(capture)), "team", text("blue"));
    two_processes_of_one_instance: Instance, |capture| {
        set(resource(server(capture)), "process.pid", Value::Int(1));
    };
    a_log_attribute_without_a_namespace: AttributeUnknown, |capture| {
        set(&mut capture.logs[0].attributes, "throughline_worker.orders", Value::Int(3));
    };
    a_log_record_without_a_severity: Severity, |capture| capture.logs[0].severity = Severity(0);
    a_log_record_of_an_unknown_span: LogCorrelation, |capture| {
        let log = capture.logs.iter_mut().find(|log| log.span_id.is_some()).unwrap();
        log.span_id = Some(some_id());
    };
    an_event_that_is_a_place_in_the_source: Event, |capture| {
        capture.logs[0].event_name = "event crates/api/src/orders/create.rs:113".to_owned();
    };
    a_cancellation_without_its_actor: Event, |capture| {
        let mut logs = capture.logs.iter_mut();
        let cancelled = logs.find(|log| log.event_name == "order.cancelled").unwrap();
        remove(&mut cancelled.attributes, "order.actor");
    };
    an_exception_without_a_type: Exception, |capture| {
        let mut logs = capture.logs.iter_mut();
        let error = logs.find(|log| log.attributes.get("exception.type").is_some()).unwrap();
        remove(&mut error.attributes, "exception.type");
    };
    an_error_without_an_exception: Exception, |capture| {
        let mut logs = capture.logs.iter_mut();
        let error = logs.find(|log| log.severity >= Severity::ERROR).unwrap();
        remove(&mut error.attributes, "exception.type");
        remove(&mut error.attributes, "exception.message");
    };
    a_line_that_is_not_json: JsonLine, |capture| {
        capture.lines.push(line("INFO order created"));
    };
    a_line_with_half_a_correlation: JsonLine, |capture| {
        capture.lines.push(line(r#"{"severity":"INFO","trace_id":"0af7651916cd43dd8448eb211c80319c"}"#));
    };
    personal_data_in_a_span: Masking, |capture| {
        let planted = text(&capture.planted[0].clone());
        set(&mut server(capture).attributes, "user_agent.original", planted);
    };
    personal_data_in_a_spans_name: Masking, |capture| server(capture).name = capture.planted[0].clone();
    personal_data_in_a_spans_trace_state: Masking, |capture| {
        server(capture).trace_state = format!("shop={}", capture.planted[0]);
    };
    personal_data_in_a_links_trace_state: Masking, |capture| {
        let planted = capture.planted[0].clone();
        of_kind(capture, SpanKind::Consumer).links[0].trace_state = planted;
    };
    personal_data_in_a_scope: Masking, |capture| {
        let planted = capture.planted[0].clone();
        Arc::make_mut(&mut capture.logs[0].scope).name = planted;
    };
    personal_data_in_a_resource_of_logs: Masking, |capture| {
        let planted = text(&capture.planted[0].clone());
        set(Arc::make_mut(&mut capture.logs[0].resource), "host.name", planted);
    };
    personal_data_in_a_resource_of_metrics: Masking, |capture| {
        let planted = text(&capture.planted[0].clone());
        set(Arc::make_mut(&mut capture.metrics[0].resource), "host.name", planted);
    };
    personal_data_in_a_metrics_description: Masking, |capture| {
        capture.metrics[0].description = capture.planted[0].clone();
    };
    personal_data_in_a_log_record: Masking, |capture| capture.logs[0].body = text(&capture.planted[0].clone());
    personal_data_in_a_metric: Masking, |capture| {
        let planted = text(&capture.planted[0].clone());
        set(&mut metric(capture, "orders.created").points[0].attributes, "customer", planted);
    };
    personal_data_in_a_line: Masking, |capture| {
        let planted = format!(r#"{{"severity":"INFO","message":"{}"}}"#, capture.planted[0]);
        capture.lines.push(line(&planted));
    };
}

fn find(capture: &mut Capture, is: impl Fn(&Span) -> bool) -> &mut Span {
    let mut spans = capture.traces.iter_mut().flat_map(|trace| &mut trace.spans);
    spans.find(|span| is(span)).unwrap()
}

fn of_kind(capture: &mut Capture, kind: SpanKind) -> &mut Span {
    find(capture, |span| span.kind == kind)
}

fn server(capture: &mut Capture) -> &mut Span {
    of_kind(capture, SpanKind::Server)
}

fn having<'a>(capture: &'a mut Capture, attribute: &str) -> &'a mut Span {
    find(capture, |span| span.attributes.get(attribute).is_some())
}

fn failed_by<'a>(capture: &'a mut Capture, error: &str) -> &'a mut Span {
    find(capture, |span| {
        span.attributes.get_str("error.type") == Some(error)
    })
}

/// A process span that is a root and only links to its sender.
fn root_job(capture: &mut Capture) -> &mut Span {
    find(capture, |span| {
        span.kind == SpanKind::Consumer && span.parent_span_id.is_none()
    })
}

fn named<'a>(capture: &'a mut Capture, name: &str) -> &'a mut Span {
    find(capture, |span| span.name == name)
}

fn with_code(capture: &mut Capture, kind: SpanKind, code: i64) -> &mut Span {
    let code = Value::Int(code);
    find(capture, |span| {
        span.kind == kind && span.attributes.get("http.response.status_code") == Some(&code)
    })
}

fn metric<'a>(capture: &'a mut Capture, name: &str) -> &'a mut Metric {
    capture
        .metrics
        .iter_mut()
        .find(|metric| metric.name == name)
        .unwrap()
}

fn resource(span: &mut Span) -> &mut Attributes {
    Arc::make_mut(&mut span.resource)
}

/// Repeats the span in its trace.
fn repeat(capture: &mut Capture, name: &str, times: usize) {
    let has = |span: &Span| span.name == name;
    let mut traces = capture.traces.iter_mut();
    let trace = traces.find(|trace| trace.spans.iter().any(has)).unwrap();
    let span = trace.spans.iter().find(|span| has(span)).unwrap().clone();
    trace.spans.extend(std::iter::repeat_n(span, times));
}

fn set(attributes: &mut Attributes, name: &str, value: Value) {
    remove(attributes, name);
    let all = attributes
        .iter()
        .map(|(name, value)| (name.to_owned(), value.clone()));
    *attributes = all.chain([(name.to_owned(), value)]).collect();
}

fn remove(attributes: &mut Attributes, name: &str) {
    let others = attributes.iter().filter(|(it, _)| *it != name);
    *attributes = others
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn line(text: &str) -> Line {
    Line {
        service: "throughline-api".to_owned(),
        text: text.to_owned(),
    }
}

fn some_id() -> SpanId {
    "00000000000000ff".parse().unwrap()
}
