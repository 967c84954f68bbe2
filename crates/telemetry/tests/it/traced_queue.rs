//! A queue of throughline-queue whose jobs carry their trace.

use std::time::Duration;

use lens::SpanKind;
use throughline_queue::{Delivery, Enqueued, QueueConfig};
use throughline_telemetry::job::TracedQueue;
use throughline_telemetry::span;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::statements::within_a_trace;
use crate::support::{attribute, is_child, trace};

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn jobs_of_a_traced_queue_run_in_their_trace_while_the_program_runs() {
    let redis = testkit::redis().await.unwrap();
    let name = format!("parcels-{}", uuid::Uuid::new_v4().simple());
    let parcels = QueueConfig::new(redis.url(), &name);
    let parcels = TracedQueue::<u64>::connect(parcels).await.unwrap();
    let (id, enqueued) = within_a_trace(parcels.enqueue("parcel-7", 7)).await;
    assert_eq!(enqueued.unwrap(), Enqueued::New);

    let (sender, mut delivered) = mpsc::unbounded_channel();
    let deliver = move |parcel: Delivery<u64>| {
        let sender = sender.clone();
        async move {
            let trace = span::current_trace_id();
            sender.send((parcel.job, parcel.attempt, trace)).unwrap();
            if parcel.attempt == 1 {
                Err("no van is free")
            } else {
                Ok(())
            }
        }
    };
    let program = async { [delivered.recv().await, delivered.recv().await] };
    let working = timeout(TIMEOUT, parcels.work_while(program, deliver));
    let attempts = working.await.expect("two attempts").unwrap();
    let trace_id = Some(id.to_string());
    assert_eq!(attempts, [Some((7, 1, trace_id.clone())), Some((7, 2, trace_id))]);

    // The span of the test is the fourth. The last attempt had ended when `work_while` returned.
    let trace = trace(id, 4).await;
    let send = trace.spans.iter().find(|it| it.kind == SpanKind::Producer);
    let send = send.unwrap();
    assert_eq!(send.name, format!("send {name}"));
    assert_eq!(attribute(send, "messaging.message.id").unwrap(), "parcel-7");
    let attempts = trace.spans.iter().filter(|it| it.kind == SpanKind::Consumer);
    let attempts: Vec<_> = attempts
        .map(|attempt| {
            assert!(is_child(attempt, send));
            let text = |name| attribute(attempt, name);
            (text("queue.attempt").unwrap(), text("error.type"))
        })
        .collect();
    let failed = ("1".to_owned(), Some("error".to_owned()));
    assert!(attempts.contains(&failed) && attempts.contains(&("2".to_owned(), None)));
}
