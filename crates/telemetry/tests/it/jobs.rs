//! A job through both ends of a queue.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use apalis::prelude::{TaskSink, WorkerBuilder, WorkerContext};
use apalis_core::task::Task;
use apalis_core::task::metadata::{Metadata, MetadataStore, TracingContext};
use apalis_redis::{Config, RedisStorage};
use lens::{Span, SpanKind, Status, TraceId};
use opentelemetry::baggage::BaggageExt;
use throughline_telemetry::job::{Consumer, JobTrace, Producer, Received, context_of, fail};
use throughline_telemetry::propagation;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::Instrument;

use crate::statements;
use crate::support::{attribute, caller_with_baggage, is_child, keys, lens, point, span_of, trace};

#[derive(Debug, Clone)]
struct Parcel {
    id: String,
    sent_in: HashMap<String, String>,
    previous: Option<HashMap<String, String>>,
}

fn received(parcel: &Parcel) -> Received<'_> {
    Received {
        message_id: &parcel.id,
        sent_in: &parcel.sent_in,
        previous_attempt: parcel.previous.as_ref(),
        attempt: 2,
        waited: Duration::from_millis(1500),
        client_id: "worker-1",
    }
}

/// Sends a parcel within a new trace.
async fn send(queue: &str) -> (TraceId, Parcel) {
    lens();
    let producer = Producer::new(queue, "redis.example.com", 6379);
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let push = |sent_in| async {
        Ok::<_, Infallible>(Parcel {
            id: "parcel-1:2".to_owned(),
            sent_in,
            previous: None,
        })
    };
    let sending = producer.send("parcel-1:2", push, |never| match *never {});
    let parcel = sending.instrument(test).await.unwrap();
    (id.parse().unwrap(), parcel)
}

async fn process<S>(consumer: Consumer, parcel: Parcel, handler: S) -> Result<(), S::Error>
where
    S: Service<Parcel, Response = ()> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
{
    let service = consumer.layer(received).layer(handler);
    service.oneshot(parcel).await
}

async fn works(_: Parcel) -> Result<(), Infallible> {
    statements::select(async { Ok(()) }).await.unwrap();
    Ok(())
}

fn attributes(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(attribute(span, name).as_deref(), Some(*value), "{name}");
    }
}

#[tokio::test]
async fn a_job_is_processed_within_the_trace_that_sent_it() {
    let (id, parcel) = send("parcels").await;
    process(Consumer::new("parcels"), parcel, service_fn(works))
        .await
        .unwrap();

    let send = span_of(id, "send parcels").await;
    assert_eq!(send.kind, SpanKind::Producer);
    attributes(
        &send,
        &[
            ("messaging.system", "apalis"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "parcels"),
            ("messaging.message.id", "parcel-1:2"),
            ("server.address", "redis.example.com"),
            ("server.port", "6379"),
        ],
    );
    assert_eq!(keys(&send.attributes).len(), 7);

    let process = span_of(id, "process parcels").await;
    assert_eq!(process.kind, SpanKind::Consumer);
    assert!(is_child(&process, &send));
    assert_eq!(process.links.len(), 1);
    assert_eq!(process.links[0].span_id, send.span_id);
    attributes(
        &process,
        &[
            ("messaging.system", "apalis"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", "parcels"),
            ("messaging.message.id", "parcel-1:2"),
            ("messaging.client.id", "worker-1"),
            ("queue.attempt", "2"),
            ("queue.wait_ms", "1500"),
        ],
    );
    assert_eq!(keys(&process.attributes).len(), 8);
    let statement = span_of(id, "SELECT parcels").await;
    assert!(is_child(&statement, &process));
}

#[tokio::test]
async fn sending_and_processing_are_measured() {
    let (_, parcel) = send("measured").await;
    process(Consumer::new("measured"), parcel, service_fn(works))
        .await
        .unwrap();
    let queue = ("messaging.destination.name", "measured");
    for (metric, unit) in [
        ("messaging.client.operation.duration", "s"),
        ("messaging.client.sent.messages", "{message}"),
        ("messaging.client.consumed.messages", "{message}"),
        ("messaging.process.duration", "s"),
    ] {
        let (found, point) = point(metric, &[queue]).await;
        assert_eq!(found.unit, unit);
        let keys = keys(&point.attributes);
        assert!(!keys.iter().any(|key| key.ends_with(".id")), "{keys:?}");
    }
}

#[tokio::test]
async fn a_retry_links_to_the_attempt_before_it_too() {
    let (id, mut parcel) = send("retried").await;
    let previous = caller_context(id);
    parcel.previous = Some(previous);
    process(Consumer::new("retried"), parcel, service_fn(works))
        .await
        .unwrap();
    let process = span_of(id, "process retried").await;
    let linked: Vec<_> = process
        .links
        .iter()
        .map(|link| link.span_id.to_string())
        .collect();
    assert_eq!(linked.len(), 2);
    assert_eq!(linked[1], crate::support::CALLER_SPAN);
}

fn caller_context(id: TraceId) -> HashMap<String, String> {
    let header = format!("00-{id}-{}-01", crate::support::CALLER_SPAN);
    HashMap::from([("traceparent".to_owned(), header)])
}

#[tokio::test]
async fn a_job_can_start_a_new_trace_that_only_links() {
    let (id, parcel) = send("linked").await;
    let consumer = Consumer::new("linked").trace(JobTrace::Link);
    process(consumer, parcel, service_fn(works)).await.unwrap();
    let send = span_of(id, "send linked").await;
    let process = crate::support::eventually("the span", || {
        let traces = lens().store().traces();
        let mut spans = traces.into_iter().flat_map(|trace| trace.spans);
        spans.find(|span| span.name == "process linked")
    })
    .await;
    assert_eq!(process.parent_span_id, None);
    assert_ne!(process.trace_id, id);
    assert_eq!(process.links[0].span_id, send.span_id);
}

#[tokio::test]
async fn only_the_first_attempt_can_continue_the_trace() {
    let (id, parcel) = send("first").await;
    let consumer = Consumer::new("first")
        .trace("first".parse().unwrap())
        .system("rabbitmq");
    let layer = consumer.layer(|(parcel, attempt): &(Parcel, i64)| Received {
        attempt: *attempt,
        ..received(parcel)
    });
    let works = service_fn(|(parcel, _)| works(parcel));
    for attempt in 1..=2 {
        layer
            .layer(works)
            .oneshot((parcel.clone(), attempt))
            .await
            .unwrap();
    }
    let send = span_of(id, "send first").await;
    let processes = crate::support::eventually("the spans", || {
        let traces = lens().store().traces();
        let spans = traces.into_iter().flat_map(|trace| trace.spans);
        let mut found: Vec<_> = spans.filter(|span| span.name == "process first").collect();
        found.sort_by_key(|span| span.start_unix_nano);
        (found.len() == 2).then_some(found)
    })
    .await;
    assert!(is_child(&processes[0], &send));
    assert_eq!(processes[1].parent_span_id, None);
    assert_ne!(processes[1].trace_id, id);
    for process in processes {
        assert_eq!(process.links[0].span_id, send.span_id);
        assert_eq!(attribute(&process, "messaging.system").unwrap(), "rabbitmq");
    }
}

/// A storage of apalis in the tests' Redis, and a queue's name of its own.
async fn storage() -> (RedisStorage<u32>, String) {
    lens();
    let redis = testkit::redis().await.unwrap();
    let connection = apalis_redis::connect(redis.url()).await.unwrap();
    let queue = format!("tasks-{}", uuid::Uuid::new_v4().simple());
    let storage = RedisStorage::new(connection).with_config(Config::default().queue(&queue));
    (storage, queue)
}

/// Processes one task with a worker of apalis.
async fn process_task(storage: RedisStorage<u32>, queue: &str) {
    let worker = WorkerBuilder::new(format!("worker of {queue}"))
        .backend(storage)
        .layer(Consumer::new(queue).task_layer())
        .build(|parcel: u32, worker: WorkerContext| async move {
            assert_eq!(parcel, 7);
            worker.stop().unwrap();
        });
    worker.run().await.unwrap();
}

#[tokio::test]
async fn a_task_of_apalis_has_its_trace_in_its_metadata() {
    let (mut storage, queue) = storage().await;
    let worker = storage.clone();
    let producer = Producer::new(&queue, "redis.example.com", 6379);
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let push = async |task| storage.push_task(task).await;
    let pushing = producer.push(Task::new(7), push, |_| "connection");
    pushing.instrument(test).await.unwrap();
    process_task(worker, &queue).await;

    let id = id.parse().unwrap();
    let send = span_of(id, &format!("send {queue}")).await;
    let process = span_of(id, &format!("process {queue}")).await;
    assert!(is_child(&process, &send));
    assert_eq!(process.links[0].span_id, send.span_id);
    assert_eq!(attribute(&process, "queue.attempt").unwrap(), "1");
    assert_eq!(
        attribute(&process, "messaging.client.id").unwrap(),
        format!("worker of {queue}")
    );
    assert!(attribute(&process, "messaging.message.id").is_some());
}

#[tokio::test]
async fn a_task_that_apalis_own_tracing_sent_keeps_its_trace() {
    let (mut storage, queue) = storage().await;
    let worker = storage.clone();
    let caller = crate::support::caller();
    let context = TracingContext::new()
        .with_trace_id(caller.trace_id.to_string())
        .with_span_id(crate::support::CALLER_SPAN)
        .with_trace_flags(1);
    let mut task = Task::new(7);
    task.inject_metadata(&context).unwrap();
    storage.push_task(task).await.unwrap();
    process_task(worker, &queue).await;
    let process = span_of(caller.trace_id, &format!("process {queue}")).await;
    assert!(crate::support::is_child_of_caller(&process));
}

#[tokio::test]
async fn a_worker_with_apalis_own_tracing_continues_the_trace_of_a_task() {
    lens();
    let caller = caller_with_baggage();
    let context = propagation::extract(&caller);
    let sent = std::sync::Mutex::new(None);
    let producer = Producer::new("mixed", "redis.example.com", 6379);
    let push = async |task: Task<u32>| {
        let context = TracingContext::extract(task.metadata()).unwrap();
        *sent.lock().unwrap() = Some(context);
        Ok::<_, Infallible>(())
    };
    let pushing = producer.push(Task::new(7), push, |never| match *never {});
    opentelemetry::trace::FutureExt::with_context(pushing, context)
        .await
        .unwrap();
    let sent = sent.into_inner().unwrap().unwrap();
    let trace_id = sent.trace_id().clone().unwrap();
    assert_eq!(&caller["traceparent"][3..35], trace_id);
    let send = span_of(trace_id.parse().unwrap(), "send mixed").await;
    assert_eq!(sent.span_id().clone().unwrap(), send.span_id.to_string());
    assert_eq!(
        (*sent.trace_flags(), sent.trace_state().as_deref()),
        (Some(1), Some("vendor=7"))
    );
}

#[test]
fn a_malformed_context_in_a_tasks_metadata_is_ignored() {
    use opentelemetry::trace::TraceContextExt;
    for text in ["", "x;y;1;-", "-;-;-;-", ";;;;", "\u{e4};-;300;-"] {
        let mut metadata = MetadataStore::new();
        metadata.insert("apalis_core.tracing.context", text).unwrap();
        let context = context_of(&metadata);
        assert!(!context.has_active_span(), "{text}");
    }
}

#[tokio::test]
async fn a_failed_job_is_marked() {
    async fn gives_up(_: Parcel) -> Result<(), Infallible> {
        tokio::task::yield_now().await;
        fail("card_declined");
        fail("too_late");
        Ok(())
    }
    async fn errs(_: Parcel) -> Result<(), &'static str> {
        Err("a message that is not for a metric")
    }
    let (id, parcel) = send("given-up").await;
    process(Consumer::new("given-up"), parcel, service_fn(gives_up))
        .await
        .unwrap();
    let span = span_of(id, "process given-up").await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "card_declined");
    point("messaging.process.duration", &[("error.type", "card_declined")]).await;

    let (id, parcel) = send("errs").await;
    process(Consumer::new("errs"), parcel, service_fn(errs))
        .await
        .unwrap_err();
    let span = span_of(id, "process errs").await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "error");
}

#[tokio::test]
async fn a_job_that_is_dropped_or_panics_ends_its_span() {
    async fn hangs(_: Parcel) -> Result<(), Infallible> {
        std::future::pending().await
    }
    async fn panics(_: Parcel) -> Result<(), Infallible> {
        panic!("on purpose")
    }
    let (id, parcel) = send("dropped").await;
    let processing = process(Consumer::new("dropped"), parcel, service_fn(hangs));
    let _ = tokio::time::timeout(Duration::from_millis(10), processing).await;
    let span = span_of(id, "process dropped").await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");

    let (id, parcel) = send("panicked").await;
    let processing = process(Consumer::new("panicked"), parcel, service_fn(panics));
    tokio::spawn(processing).await.unwrap_err();
    let span = span_of(id, "process panicked").await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "panic");
}

#[tokio::test]
async fn a_job_that_could_not_be_sent_is_an_error_on_span_and_metrics() {
    lens();
    let producer = Producer::new("unsent", "redis.example.com", 6379);
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let refuse = |_| async { Err::<(), _>("refused") };
    let sending = producer.send("1", refuse, |_| "connection");
    sending.instrument(test).await.unwrap_err();
    let span = span_of(id.parse().unwrap(), "send unsent").await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "connection");
    let attributes = [
        ("messaging.destination.name", "unsent"),
        ("error.type", "connection"),
    ];
    point("messaging.client.sent.messages", &attributes).await;
    point("messaging.client.operation.duration", &attributes).await;
}

#[tokio::test]
async fn a_clone_of_another_system_has_metrics_of_its_own() {
    lens();
    let redis = Producer::new("cloned", "mq.example.com", 6379);
    let rabbit = redis.clone().system("rabbitmq");
    let sent = |_| async { Ok::<_, Infallible>(()) };
    for producer in [redis, rabbit] {
        producer.send("1", sent, |never| match *never {}).await.unwrap();
    }
    for system in ["apalis", "rabbitmq"] {
        let attributes = [
            ("messaging.destination.name", "cloned"),
            ("messaging.system", system),
        ];
        point("messaging.client.sent.messages", &attributes).await;
    }
}

#[tokio::test]
async fn jobs_that_are_sent_together_have_a_span_each_and_one_duration() {
    let caller = [(); 3].map(|()| crate::support::caller());
    lens();
    let producer = Producer::new("together", "redis.example.com", 6379);
    let contexts = caller
        .each_ref()
        .map(|it| propagation::extract(&caller_context(it.trace_id)));
    let spans = contexts
        .each_ref()
        .map(|parent| producer.shared_span(parent, "1"));
    let payload = spans[0].trace_context();
    let enqueue = async { Ok::<_, Infallible>(()) };
    producer
        .send_shared(enqueue, |never| match *never {})
        .await
        .unwrap();
    let [sent, full, left] = spans;
    sent.end(3, None);
    full.end(3, Some("queue_full"));
    drop(left);

    for (caller, error) in caller.iter().zip([None, Some("queue_full"), Some("cancelled")]) {
        let span = span_of(caller.trace_id, "send together").await;
        assert!(crate::support::is_child_of_caller(&span));
        assert_eq!(attribute(&span, "error.type").as_deref(), error);
        let batch = attribute(&span, "messaging.batch.message_count");
        assert_eq!(batch.is_some(), error != Some("cancelled"));
        assert_eq!(batch.unwrap_or("3".to_owned()), "3");
        if error.is_none() {
            assert!(payload["traceparent"].contains(&span.span_id.to_string()));
        }
    }
    let queue = ("messaging.destination.name", "together");
    let (metric, _) = point(
        "messaging.client.sent.messages",
        &[queue, ("error.type", "cancelled")],
    )
    .await;
    let of_queue =
        |point: &&lens::Point| crate::support::text(&point.attributes, queue.0).as_deref() == Some(queue.1);
    assert_eq!(metric.points.iter().filter(of_queue).count(), 3);
    let (metric, duration) = point("messaging.client.operation.duration", &[queue]).await;
    assert_eq!(metric.points.iter().filter(of_queue).count(), 1);
    assert!(matches!(
        duration.value,
        lens::PointValue::Distribution { count: 1, .. }
    ));
}

#[tokio::test]
async fn a_stored_context_can_send_long_after_its_request() {
    let caller = crate::support::caller();
    lens();
    let stored = caller_context(caller.trace_id);
    let producer = Producer::new("again", "redis.example.com", 6379);
    let push = |_| async { Ok::<_, Infallible>(()) };
    producer
        .send_from(&propagation::extract(&stored), "1", push, |never| match *never {})
        .await
        .unwrap();
    let trace = trace(caller.trace_id, 1).await;
    assert_eq!(trace.spans[0].name, "send again");
    assert!(crate::support::is_child_of_caller(&trace.spans[0]));
}

#[tokio::test]
async fn neither_a_row_nor_a_job_stores_a_callers_baggage() {
    lens();
    let caller = caller_with_baggage();
    let context = propagation::extract(&caller);
    assert_eq!(context.baggage().len(), 1);
    let names = |carrier: HashMap<String, String>| {
        let mut names: Vec<_> = carrier.into_keys().collect();
        names.sort();
        names
    };
    let row = {
        let _entered = context.clone().attach();
        propagation::inject_current()
    };
    assert_eq!(row["traceparent"], caller["traceparent"]);
    assert_eq!(names(row), ["traceparent", "tracestate"]);

    let producer = Producer::new("stored", "redis.example.com", 6379);
    let push = |job| async { Ok::<_, Infallible>(job) };
    let sending = producer.send_from(&context, "1", push, |never| match *never {});
    assert_eq!(names(sending.await.unwrap()), ["traceparent", "tracestate"]);
}
