//! How much is traced.

use testkit::{Binaries, Service, Stack, StackBuilder};

use crate::Servers;

/// How much is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing, and no metrics either.
    Off,
    /// Every tenth trace; all metrics and logs.
    Tenth,
    /// Every trace.
    Full,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "telemetry off",
            Self::Tenth => "10 % of traces",
            Self::Full => "every trace",
        }
    }

    const fn variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Off => &[("OTEL_SDK_DISABLED", "true")],
            Self::Tenth => &[
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.1"),
            ],
            Self::Full => &[],
        }
    }

    /// These services in this mode, on a database of their own, with the intervals of export that the specification gives.
    pub(crate) fn stack(
        self,
        servers: &Servers,
        database_url: &str,
        services: &[Service],
        otlp: &str,
        binaries: &Binaries,
    ) -> StackBuilder {
        const OWN: [(&str, &str); 3] = [
            ("OTEL_BSP_SCHEDULE_DELAY", ""),
            ("OTEL_BLRP_SCHEDULE_DELAY", ""),
            ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ];
        let queue = format!("bench-{}", self.name().replace([' ', '%'], ""));
        let mut stack = Stack::builder(database_url, servers.redis.url())
            .binaries(binaries.clone())
            .only(services)
            .telemetry_to(otlp)
            .queue_name(&queue);
        for service in services {
            for (name, value) in OWN.iter().chain(self.variables()) {
                stack = stack.env(*service, name, value);
            }
        }
        stack
    }
}

/// The OTLP receiver of a benchmark. What it keeps is bounded, so that it does not grow with the load.
pub(crate) async fn receiver(servers: &Servers, binaries: &Binaries) -> anyhow::Result<Stack> {
    let nothing = servers.postgres.database().await?;
    Stack::builder(nothing.url(), servers.redis.url())
        .binaries(binaries.clone())
        .only(&[Service::Lens])
        .env(Service::Lens, "LENS_MAX_BYTES", "16MiB")
        .start()
        .await
}

/// The process of a service that runs.
pub(crate) fn pid(stack: &Stack, service: Service) -> anyhow::Result<i32> {
    let found = stack.pids().find(|(of, _)| *of == service);
    found
        .and_then(|(_, pid)| pid)
        .ok_or_else(|| anyhow::anyhow!("{service} does not run"))
}
