//! A service's own instruments.

use std::net::TcpListener;

use actix_web::{App, HttpServer};
use lens::{MetricKind, PointValue};
use opentelemetry::KeyValue;
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::metrics;

use crate::support::{eventually, lens, point};

#[tokio::test]
async fn a_services_own_instruments_have_unit_and_description() {
    lens();
    let small = [KeyValue::new("parcel.size", "small")];
    metrics::counter("it.parcels", "{parcel}", "Parcels.").add(2, &small);
    metrics::up_down_counter("it.vans", "{van}", "Vans.").add(-1, &small);
    metrics::histogram("it.weight", "kg", "Weights.", &[1.0, 10.0]).record(5.0, &small);
    metrics::gauge("it.oldest", "s", "Age.").record(1.5, &small);
    metrics::observe("it.depth", "{parcel}", "Depth.", small.to_vec(), || 3.0);
    for (name, unit, description, kind) in [
        ("it.parcels", "{parcel}", "Parcels.", MetricKind::Sum),
        ("it.vans", "{van}", "Vans.", MetricKind::Sum),
        ("it.weight", "kg", "Weights.", MetricKind::Histogram),
        ("it.oldest", "s", "Age.", MetricKind::Gauge),
        ("it.depth", "{parcel}", "Depth.", MetricKind::Gauge),
    ] {
        let (metric, point) = point(name, &[("parcel.size", "small")]).await;
        assert_eq!(metric.unit, unit);
        assert_eq!(metric.description, description);
        assert_eq!(metric.kind, kind);
        assert_eq!(metric.scope.name, "throughline-telemetry");
        if let PointValue::Distribution { bounds, .. } = point.value {
            assert_eq!(bounds, [1.0, 10.0]);
        }
    }
}

#[tokio::test]
async fn the_process_and_its_runtime_are_measured() {
    lens();
    for (name, unit, attributes) in [
        ("process.cpu.time", "s", &[("cpu.mode", "user")][..]),
        ("process.memory.usage", "By", &[]),
        ("process.thread.count", "{thread}", &[]),
        ("process.open_file_descriptor.count", "{file_descriptor}", &[]),
        ("tokio.workers", "{thread}", &[]),
        ("tokio.tasks", "{task}", &[]),
        ("tokio.queue.depth", "{task}", &[]),
    ] {
        let (metric, _) = point(name, attributes).await;
        assert_eq!(metric.unit, unit, "{name}");
        assert_eq!(metric.kind, MetricKind::Sum, "{name}");
    }
}

#[tokio::test]
async fn the_runtimes_of_a_servers_workers_are_measured() {
    const WORKERS: usize = 3;
    let store = lens().store();
    // It serves for the rest of the process.
    std::thread::spawn(|| {
        let server = HttpServer::new(|| App::new().wrap(Tracing::new()));
        let server = server.workers(WORKERS).disable_signals();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = server.listen(listener).unwrap().run();
        actix_web::rt::System::new().block_on(server).unwrap();
    });
    let of_setup = std::thread::available_parallelism().unwrap().get();
    let expected = i64::try_from(of_setup + WORKERS).unwrap();
    eventually("the runtimes of the workers", || {
        let metric = store
            .metrics()
            .into_iter()
            .find(|it| it.name == "tokio.workers")?;
        let is_reached =
            |value: &PointValue| matches!(value, PointValue::Int { value, .. } if *value >= expected);
        metric
            .points
            .iter()
            .any(|point| is_reached(&point.value))
            .then_some(())
    })
    .await;
}
