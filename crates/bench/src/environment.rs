//! The servers and programs of a run, and the stacks that are started from them.

use anyhow::Context;
use testkit::{Binaries, Postgres, Redis, Service, Stack, StackBuilder};

use crate::mode::Mode;

/// The specification's default export intervals for traces and logs (the test kit shortens them), and 10 s
/// for metrics.
const EXPORT_INTERVALS: [(&str, &str); 3] = [
    ("OTEL_BSP_SCHEDULE_DELAY", ""),
    ("OTEL_BLRP_SCHEDULE_DELAY", ""),
    ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
];

pub(crate) struct Environment {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) binaries: Binaries,
    fsync: bool,
}

impl Environment {
    pub(crate) async fn start(binaries: &Binaries, fsync: bool) -> anyhow::Result<Self> {
        Ok(Self {
            postgres: start_postgres(fsync).await?,
            redis: Redis::start().await?,
            binaries: binaries.clone(),
            fsync,
        })
    }

    /// Another PostgreSQL, for a benchmark that changes its settings.
    pub(crate) async fn another_postgres(&self) -> anyhow::Result<Postgres> {
        start_postgres(self.fsync).await
    }

    /// These services in this mode. Each mode has its own queue.
    pub(crate) fn stack(
        &self,
        mode: Mode,
        database_url: &str,
        services: &[Service],
        otlp_url: &str,
    ) -> StackBuilder {
        let queue = format!("bench-{}", mode.name().replace([' ', '%'], ""));
        let mut stack = Stack::builder(database_url, self.redis.url())
            .binaries(self.binaries.clone())
            .only(services)
            .telemetry_to(otlp_url)
            .queue_name(&queue);
        for service in services {
            for (name, value) in EXPORT_INTERVALS.iter().chain(mode.variables()) {
                stack = stack.env(*service, name, value);
            }
        }
        stack
    }

    /// An OTLP receiver. Its memory is bounded, so that it does not grow with the load.
    pub(crate) async fn receiver(&self) -> anyhow::Result<Stack> {
        self.lens("16MiB").await
    }

    /// A lens alone, with this LENS_MAX_BYTES.
    pub(crate) async fn lens(&self, max_bytes: &str) -> anyhow::Result<Stack> {
        let unused = self.postgres.database().await?;
        Stack::builder(unused.url(), self.redis.url())
            .binaries(self.binaries.clone())
            .only(&[Service::Lens])
            .env(Service::Lens, "LENS_MAX_BYTES", max_bytes)
            .start()
            .await
    }
}

async fn start_postgres(fsync: bool) -> anyhow::Result<Postgres> {
    if fsync {
        Postgres::start_durable().await
    } else {
        Postgres::start().await
    }
}

/// The process id of a service.
pub(crate) fn pid(stack: &Stack, service: Service) -> anyhow::Result<i32> {
    let process = stack.pids().find(|(of, _)| *of == service);
    let pid = process.and_then(|(_, pid)| pid);
    pid.with_context(|| format!("{service} does not run"))
}
