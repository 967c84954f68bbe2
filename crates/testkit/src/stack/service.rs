//! The product's services, their ports, and their readiness paths.

use std::fmt;

use anyhow::bail;

use crate::ports::{free_port, is_free};

/// A service of the product.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    Lens,
    Gateway,
    Api,
    Worker,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.binary())
    }
}

impl Service {
    /// The name of its program, which is also its `service.name`.
    #[must_use]
    pub fn binary(self) -> &'static str {
        match self {
            Self::Lens => "throughline-lens",
            Self::Gateway => "throughline-gateway",
            Self::Api => "throughline-api",
            Self::Worker => "throughline-worker",
        }
    }

    /// The response to a GET of this path is 200 once the service is ready.
    pub(super) fn ready_path(self) -> &'static str {
        match self {
            Self::Lens | Self::Gateway => "/health",
            Self::Api | Self::Worker => "/health/ready",
        }
    }
}

/// The ports of the services on 127.0.0.1.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ports {
    pub api: u16,
    pub worker_health: u16,
    pub gateway: u16,
    pub lens: u16,
    pub otlp_grpc: u16,
    pub otlp_http: u16,
}

impl Ports {
    /// The documented ports of a local stack.
    pub const LOCAL: Self = Self {
        api: 8080,
        worker_health: 8081,
        gateway: 8090,
        lens: 8100,
        otlp_grpc: 4317,
        otlp_http: 4318,
    };

    /// Ports that are free at this moment.
    ///
    /// # Errors
    /// When no free port is found.
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self {
            api: free_port()?,
            worker_health: free_port()?,
            gateway: free_port()?,
            lens: free_port()?,
            otlp_grpc: free_port()?,
            otlp_http: free_port()?,
        })
    }

    /// The port of a service's HTTP server.
    #[must_use]
    pub fn of(&self, service: Service) -> u16 {
        match service {
            Service::Lens => self.lens,
            Service::Gateway => self.gateway,
            Service::Api => self.api,
            Service::Worker => self.worker_health,
        }
    }

    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP.
    #[must_use]
    pub fn otlp_http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp_http)
    }

    /// Checks that no other process listens on these ports.
    ///
    /// # Errors
    /// Names the first port in use, and the service that needs it.
    pub fn ensure_free(&self) -> anyhow::Result<()> {
        let all = [
            (self.api, Service::Api),
            (self.worker_health, Service::Worker),
            (self.gateway, Service::Gateway),
            (self.lens, Service::Lens),
            (self.otlp_grpc, Service::Lens),
            (self.otlp_http, Service::Lens),
        ];
        match all.into_iter().find(|(port, _)| !is_free(*port)) {
            Some((port, service)) => {
                bail!(
                    "port {port} on 127.0.0.1 is in use, and {service} needs it: stop the process that listens there"
                )
            }
            None => Ok(()),
        }
    }
}
