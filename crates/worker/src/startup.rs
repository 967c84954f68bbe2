//! From settings to a running worker, and from a signal to its end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dispatch::{Dispatcher, Publisher};
use domain::ProcessOrder;
use queue::{Delivery, Pause, Queue, WorkOptions, WorkerHealth};
use service::health::SharedCheck;
use service::{ShutdownSignal, wait_until_reachable};
use store::Store;
use telemetry::job::{Consumer, Received};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;
use tower::{Layer, service_fn};

use crate::config::Config;
use crate::health::{self, Health};
use crate::leadership::IsLeader;
use crate::metrics;
use crate::operations::{execute_operations, prune_operations};
use crate::pause::follow_pause;
use crate::payment::{Gateway, settle_unsettled_orders};
use crate::processing::Processor;
use crate::reconciler::{Reconciler, ReconcilerHealth};
use crate::report::report_worker;
use crate::samples::write_samples;
use crate::sweeper;
use crate::totals::keep_totals;

/// Added to the shutdown timeout, so that abandoned attempts can release their orders.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Processes orders until SIGTERM or SIGINT. Then it finishes the running attempts, or abandons them after
/// the shutdown timeout.
pub async fn work(config: Config, signal: ShutdownSignal) -> anyhow::Result<()> {
    warn_of_gateway_settings(&config);
    let store = Store::new(config.store)?;
    let queue = Queue::<ProcessOrder>::connect_lazy(config.queue)?;
    let listener = config.address.listen()?;

    let (shutdown, abandon) = (CancellationToken::new(), CancellationToken::new());
    let options = WorkOptions {
        concurrency: config.concurrency,
        shutdown_timeout: config.shutdown_timeout + RELEASE_TIMEOUT,
        name_prefix: format!("throughline-worker-{}", std::process::id()),
        health: WorkerHealth::default(),
        pause: Pause::default(),
    };
    // Until it is known that the queue is not paused.
    options.pause.set(true);
    let publisher = Publisher::start(&queue);
    let reconciler = Reconciler {
        store: store.clone(),
        dispatcher: Dispatcher::new(queue.clone()),
        publisher: publisher.clone(),
        health: ReconcilerHealth::default(),
        is_leader: IsLeader::default(),
        pause: options.pause.clone(),
    };
    let health = Health {
        store: store.clone(),
        queue: queue.clone(),
        worker: options.health.clone(),
        reconciler: reconciler.health.clone(),
        shutdown: shutdown.clone(),
        servers: SharedCheck::default(),
    };
    let gateway = config
        .gateway
        .map(|gateway| Gateway::new(gateway, config.concurrency));
    let gateway = gateway.transpose()?;
    let processor = Arc::new(Processor {
        store: store.clone(),
        gateway: gateway.clone(),
        alone: RwLock::default(),
        config: config.processing,
        publisher,
        abandon: abandon.clone(),
        pause: options.pause.clone(),
    });
    let process = service_fn(move |delivery| {
        let processor = Arc::clone(&processor);
        async move {
            processor.process(delivery).await;
            Ok::<(), Infallible>(())
        }
    });
    let consumer = Consumer::new(queue.name()).trace(config.job_trace);
    let service = consumer.layer(describe).layer(process);

    let health_server = health::serve(listener, health)?;
    let health_handle = health_server.handle();
    tracing::info!("processing orders, {} at a time", options.concurrency);
    let processing = async {
        let processed = queue.work(options.clone(), service, shutdown.clone()).await;
        // If the worker ended without a signal, everything else ends too.
        shutdown.cancel();
        processed
    };
    let working = async {
        let background = run_background(
            &store,
            &queue,
            gateway.as_ref(),
            config.retention,
            &reconciler,
            &options,
            &shutdown,
        );
        let (processed, ()) = tokio::join!(processing, background);
        // No attempt is running any more: nothing has to wait for the shutdown timeout.
        abandon.cancel();
        health_handle.stop(false).await;
        processed
    };
    let ending = shut_down(signal, &shutdown, &abandon, config.shutdown_timeout);
    let (processed, (), served) = tokio::join!(working, ending, health_server);
    processed?;
    served.context("the health server ended")
}

fn warn_of_gateway_settings(config: &Config) {
    match &config.gateway {
        None => tracing::warn!("PAYMENT_GATEWAY_URL is not set: orders with a payment will fail"),
        Some(gateway) if config.processing.lease <= gateway.timeout => tracing::warn!(
            "ORDER_LEASE is not longer than PAYMENT_TIMEOUT: \
             a worker that is paused during a charge may lose its lease"
        ),
        Some(_) => {}
    }
}

/// Everything that runs beside the processing of jobs, until shutdown.
async fn run_background(
    store: &Store,
    queue: &Queue<ProcessOrder>,
    gateway: Option<&Gateway>,
    retention: Option<Duration>,
    reconciler: &Reconciler,
    worker: &WorkOptions,
    shutdown: &CancellationToken,
) {
    let Reconciler {
        publisher,
        is_leader,
        pause,
        ..
    } = reconciler;
    let unfinished = metrics::LatestUnfinished::default();
    let report_unreachable = async {
        tokio::join!(
            wait_until_reachable("PostgreSQL", async || store.ping().await),
            wait_until_reachable("Redis", async || queue.ping().await),
        )
    };
    let reconcile = async {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_off("reconciler") {
            return reconciler.health.set_working(true);
        }
        reconciler.run(shutdown).await;
    };
    tokio::join!(
        shutdown.run_until_cancelled(report_unreachable),
        reconcile,
        sweeper::delete_finished_jobs(queue, is_leader, shutdown),
        sweeper::delete_expired_keys(store, is_leader, shutdown),
        sweeper::prune_orders(store, retention, is_leader, shutdown),
        keep_totals(store, is_leader, shutdown),
        metrics::watch_queue(queue, store, is_leader, shutdown),
        metrics::watch_orders(store, is_leader, pause, &unfinished, shutdown),
        write_samples(store, queue, gateway, &unfinished, is_leader, shutdown),
        report_worker(queue, worker, gateway, is_leader, shutdown),
        follow_pause(store, pause, shutdown),
        execute_operations(store, publisher, is_leader, shutdown),
        prune_operations(store, is_leader, shutdown),
        metrics::watch_gateway(gateway, shutdown),
        settle_unsettled_orders(gateway, store, is_leader, shutdown),
    );
}

/// Cancels `shutdown` at the signal, and `abandon` after the timeout.
async fn shut_down(
    signal: ShutdownSignal,
    shutdown: &CancellationToken,
    abandon: &CancellationToken,
    timeout: Duration,
) {
    shutdown.run_until_cancelled(signal.received()).await;
    tracing::info!("shutting down");
    shutdown.cancel();
    abandon.run_until_cancelled(tokio::time::sleep(timeout)).await;
    abandon.cancel();
}

/// The telemetry attributes of a delivery.
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
