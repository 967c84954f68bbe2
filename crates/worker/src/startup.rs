//! From settings to a running worker, and from a signal to its end.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Context;
use dispatch::{Dispatcher, Publisher};
use domain::ProcessOrder;
use queue::{Delivery, Queue, WorkOptions, WorkerHealth};
use service::{ShutdownSignal, wait_until_reachable};
use store::Store;
use telemetry::job::{Consumer, Received};
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

use crate::config::Config;
use crate::health::{self, Health};
use crate::metrics;
use crate::payment::Gateway;
use crate::processing::Processor;
use crate::reconciler::{Reconciler, ReconcilerHealth};
use crate::sweeper;

/// What abandoned attempts get to release their orders, beyond the shutdown time-out.
const RELEASE: Duration = Duration::from_secs(3);

/// Works until SIGTERM or SIGINT; then finishes the attempts in flight or releases them.
pub async fn work(config: Config, shutdown_signal: ShutdownSignal) -> anyhow::Result<()> {
    let store = Store::new(config.store)?;
    let queue = Queue::<ProcessOrder>::connect_lazy(config.queue)?;
    let listener = config.address.listen()?;
    match &config.gateway {
        None => tracing::warn!("PAYMENT_GATEWAY_URL is not set: orders that ask for a payment will fail"),
        Some(gateway) if config.processing.lease <= gateway.timeout => tracing::warn!(
            "ORDER_LEASE is not longer than PAYMENT_TIMEOUT: a worker that is paused during a charge may lose it to another"
        ),
        Some(_) => {}
    }

    let shutdown = CancellationToken::new();
    let abandon = CancellationToken::new();
    let options = WorkOptions {
        concurrency: config.concurrency,
        shutdown_timeout: config.shutdown_timeout + RELEASE,
        name_prefix: format!("throughline-worker-{}", std::process::id()),
        health: WorkerHealth::default(),
    };
    let publisher = Publisher::start(&queue);
    let reconciler = Reconciler {
        store: store.clone(),
        dispatcher: Dispatcher::new(queue.clone()),
        publisher: publisher.clone(),
        health: ReconcilerHealth::default(),
    };
    let health = Health {
        store: store.clone(),
        queue: queue.clone(),
        worker: options.health.clone(),
        reconciler: reconciler.health.clone(),
        shutdown: shutdown.clone(),
    };
    let processor = Processor {
        store: store.clone(),
        gateway: config.gateway.map(Gateway::new).transpose()?,
        config: config.processing,
        publisher,
        abandon: abandon.clone(),
    };
    let process = service_fn(move |delivery| {
        let processor = processor.clone();
        async move {
            processor.process(delivery).await;
            Ok::<(), Infallible>(())
        }
    });
    let consumer = Consumer::new(queue.name()).trace(config.job_trace);
    let service = consumer.layer(describe).layer(process);

    let health_server = health::serve(listener, health)?;
    let health_handle = health_server.handle();
    let ending = async {
        tokio::select! {
            () = shutdown_signal.received() => {}
            () = shutdown.cancelled() => {}
        }
        tracing::info!("shutting down");
        shutdown.cancel();
        tokio::select! {
            () = tokio::time::sleep(config.shutdown_timeout) => abandon.cancel(),
            () = abandon.cancelled() => {}
        }
    };
    let reaching = async {
        tokio::join!(
            wait_until_reachable("PostgreSQL", async || store.ping().await),
            wait_until_reachable("Redis", async || queue.ping().await),
        )
    };
    let working = async {
        tracing::info!(concurrency = options.concurrency, "processing orders");
        let work = async {
            let worked = queue.work(options, service, shutdown.clone()).await;
            // A worker that ended by itself takes the rest with it.
            shutdown.cancel();
            worked
        };
        let (worked, _, (), (), (), ()) = tokio::join!(
            work,
            shutdown.run_until_cancelled(reaching),
            reconciler.run(&shutdown),
            sweeper::run(&queue, &shutdown),
            sweeper::forget_keys(&store, &shutdown),
            metrics::watch(&queue, &store, &shutdown),
        );
        // Nothing is in flight any more: whoever waits for the time-out need not.
        abandon.cancel();
        health_handle.stop(false).await;
        worked
    };
    let (worked, (), served) = tokio::join!(working, ending, health_server);
    worked?;
    served.context("the health server ended")
}

/// What a delivery tells the telemetry.
fn describe(delivery: &Delivery<ProcessOrder>) -> Received<'_> {
    Received {
        message_id: &delivery.id,
        sent_in: &delivery.job.trace.0,
        previous_attempt: delivery.job.previous_attempt.as_ref().map(|trace| &trace.0),
        attempt: i64::from(delivery.job.attempt.number()),
        waited: delivery.waited,
        client_id: &delivery.worker,
    }
}
