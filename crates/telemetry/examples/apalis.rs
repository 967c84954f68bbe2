//! A job of apalis: sent in one trace, and processed in it, with the trace context in the task's metadata.
//!
//! ```sh
//! cargo run -p throughline-telemetry --features full --example apalis
//! ```

use std::error::Error;
use std::time::Duration;

use apalis::prelude::{MemoryStorage, TaskSink, WorkerBuilder, WorkerContext};
use apalis_core::task::Task;
use throughline_telemetry::job::{Consumer, JobTrace, Producer};
use throughline_telemetry::{init, span};
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = init("parcels", env!("CARGO_PKG_VERSION"))?;
    let mut parcels = MemoryStorage::new();

    let producer = Producer::new("parcels", "localhost", 6379);
    let push = async |task| parcels.push_task(task).await;
    let pushing = producer.push(Task::new(7_i64), push, |_| "storage");
    pushing.instrument(tracing::info_span!("order")).await?;

    // A job that is retried has a trace for each later attempt, linked to the first.
    let consumer = Consumer::new("parcels").trace(JobTrace::First);
    let worker = WorkerBuilder::new("parcels-1")
        .backend(parcels)
        .layer(consumer.task_layer())
        .build(deliver);
    worker.run().await?;
    telemetry.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn deliver(parcel: i64, worker: WorkerContext) -> Result<(), Box<dyn Error + Send + Sync>> {
    span::set("parcel.id", parcel);
    tracing::info!("delivered: `process parcels`");
    worker.stop()?;
    Ok(())
}
