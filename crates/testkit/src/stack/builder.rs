//! Configures and starts a stack. Only this module knows each service's variables.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use uuid::Uuid;

use super::binaries::{Binaries, Profile};
use super::running::Stack;
use super::service::{Ports, Service};
use super::service_process::ServiceProcess;
use crate::supervised::Task;

/// The key of the worker at the payment sandbox.
const PAYMENT_GATEWAY_KEY: &str = "sk_test_throughline";

/// A stack that has not been started yet.
#[derive(Clone, Debug)]
pub struct StackBuilder {
    database_url: String,
    redis_url: String,
    binaries: Option<Binaries>,
    ports: Option<Ports>,
    logs: Option<PathBuf>,
    otlp_url: Option<String>,
    only: Option<Vec<Service>>,
    programs: Vec<(Service, PathBuf)>,
    environment: Vec<(Service, String, String)>,
}

impl Stack {
    /// A stack on this database and this Redis.
    #[must_use]
    pub fn builder(database_url: &str, redis_url: &str) -> StackBuilder {
        StackBuilder {
            database_url: database_url.to_owned(),
            redis_url: redis_url.to_owned(),
            binaries: None,
            ports: None,
            logs: None,
            otlp_url: None,
            only: None,
            programs: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl StackBuilder {
    /// The programs to run (default: those of the last debug build).
    #[must_use]
    pub fn binaries(mut self, binaries: Binaries) -> Self {
        self.binaries = Some(binaries);
        self
    }

    /// The ports to listen on (default: free ones).
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = Some(ports);
        self
    }

    /// A folder for the services' logs (default: a new temporary one, which is deleted with the stack).
    #[must_use]
    pub fn logs(mut self, folder: &Path) -> Self {
        self.logs = Some(folder.to_owned());
        self
    }

    /// Exports telemetry to this OTLP endpoint, over HTTP; no lens is started.
    #[must_use]
    pub fn telemetry_to(mut self, otlp_http_url: &str) -> Self {
        self.otlp_url = Some(otlp_http_url.to_owned());
        self
    }

    /// Makes it part of another stack: its workers use that one's gateway, and all export to its lens.
    #[must_use]
    pub fn beside(self, stack: &Stack) -> Self {
        let gateway = stack.url(Service::Gateway);
        self.telemetry_to(&stack.ports().otlp_http_url()).env(
            Service::Worker,
            "PAYMENT_GATEWAY_URL",
            &gateway,
        )
    }

    /// Starts only these services, for example one more replica beside another stack.
    #[must_use]
    pub fn only(mut self, services: &[Service]) -> Self {
        self.only = Some(services.to_vec());
        self
    }

    /// Runs another program for this service.
    #[must_use]
    pub fn program(mut self, service: Service, program: &Path) -> Self {
        self.programs.push((service, program.to_owned()));
        self
    }

    /// Sets a variable of one service; it overrides the stack's value.
    #[must_use]
    pub fn env(mut self, service: Service, name: &str, value: &str) -> Self {
        self.environment
            .push((service, name.to_owned(), value.to_owned()));
        self
    }

    /// The queue name of api and worker, so that stacks can share a Redis.
    #[must_use]
    pub fn queue_name(self, name: &str) -> Self {
        self.env(Service::Api, "QUEUE_NAME", name)
            .env(Service::Worker, "QUEUE_NAME", name)
    }

    /// Migrates the database, starts the services, and waits until each is ready.
    ///
    /// # Errors
    /// When a port is in use, a migration fails, or a service ends or is not ready in time. The started
    /// services are stopped.
    pub async fn start(self) -> anyhow::Result<Stack> {
        let binaries = self.binaries_or_built()?;
        binaries.migrate(&self.database_url).await?;
        self.start_without_migration().await
    }

    /// As [`StackBuilder::start`], on a database that is migrated, or has a schema that the test chose.
    ///
    /// # Errors
    /// As [`StackBuilder::start`].
    pub async fn start_without_migration(self) -> anyhow::Result<Stack> {
        let binaries = self.binaries_or_built()?;
        match &self.ports {
            Some(ports) => self.start_on(ports.clone(), &binaries).await,
            // Another process may take a free port before its service listens on it.
            None => match self.start_on(Ports::free()?, &binaries).await {
                Ok(stack) => Ok(stack),
                Err(_) => self.start_on(Ports::free()?, &binaries).await,
            },
        }
    }

    fn binaries_or_built(&self) -> anyhow::Result<Binaries> {
        match &self.binaries {
            Some(binaries) => Ok(binaries.clone()),
            None => Binaries::built(Profile::Dev),
        }
    }

    async fn start_on(&self, ports: Ports, binaries: &Binaries) -> anyhow::Result<Stack> {
        let (logs, temporary) = match &self.logs {
            Some(logs) => (logs.clone(), false),
            None => (
                std::env::temp_dir().join(format!("throughline-logs-{}", Uuid::now_v7().simple())),
                true,
            ),
        };
        fs::create_dir_all(&logs).with_context(|| format!("cannot create the folder {}", logs.display()))?;
        ports.ensure_free()?;
        let mut stack = Stack {
            processes: Vec::new(),
            ports,
            logs,
            temporary,
        };
        for service in self.services() {
            let task = self.task(service, binaries, &stack.ports, &stack.logs);
            // Lines of an earlier stack must not appear in this one's log.
            let _ = fs::remove_file(&task.log);
            let port = stack.ports.of(service);
            stack.processes.push(ServiceProcess::start(service, task, port)?);
        }
        for process in &stack.processes {
            process.ready().await?;
        }
        Ok(stack)
    }

    fn services(&self) -> Vec<Service> {
        const ALL: [Service; 4] = [Service::Lens, Service::Gateway, Service::Api, Service::Worker];
        let mut services = self.only.clone().unwrap_or_else(|| ALL.to_vec());
        // Telemetry that goes elsewhere needs no lens.
        services.retain(|service| *service != Service::Lens || self.otlp_url.is_none());
        services
    }

    fn task(&self, service: Service, binaries: &Binaries, ports: &Ports, logs: &Path) -> Task {
        let extra = self.environment.iter().filter(|(of, ..)| *of == service);
        let mut environment = self.environment_of(service, ports);
        environment.extend(extra.map(|(_, name, value)| (name.clone(), value.clone())));
        Task {
            environment,
            ..Task::new(
                service.binary(),
                self.program_of(service, binaries),
                logs,
                &format!("{service}.log"),
            )
        }
    }

    fn program_of(&self, service: Service, binaries: &Binaries) -> PathBuf {
        let given = self.programs.iter().find(|(of, _)| *of == service);
        given.map_or_else(|| binaries.program(service), |(_, program)| program.clone())
    }

    fn environment_of(&self, service: Service, ports: &Ports) -> Vec<(String, String)> {
        let mut variables = vec![
            ("HOST", "127.0.0.1".to_owned()),
            ("PORT", ports.of(service).to_string()),
        ];
        match service {
            Service::Lens => variables.extend([
                ("LENS_GRPC_PORT", ports.otlp_grpc.to_string()),
                ("LENS_HTTP_PORT", ports.otlp_http.to_string()),
            ]),
            Service::Gateway => {
                variables.push(("PAYMENT_GATEWAY_KEY", PAYMENT_GATEWAY_KEY.to_owned()));
            }
            Service::Api => {
                variables.extend(self.databases());
                let lens = format!("http://127.0.0.1:{}/traces/{{trace_id}}", ports.lens);
                variables.push(("TRACE_URL", lens));
            }
            Service::Worker => {
                variables.extend(self.databases());
                variables.push((
                    "PAYMENT_GATEWAY_URL",
                    format!("http://127.0.0.1:{}", ports.gateway),
                ));
                variables.push(("PAYMENT_GATEWAY_KEY", PAYMENT_GATEWAY_KEY.to_owned()));
            }
        }
        if service != Service::Lens {
            let local = || ports.otlp_http_url();
            variables.push((
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                self.otlp_url.clone().unwrap_or_else(local),
            ));
            variables.extend(OTEL.map(|(name, value)| (name, value.to_owned())));
        }
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn databases(&self) -> [(&'static str, String); 2] {
        [
            ("DATABASE_URL", self.database_url.clone()),
            ("REDIS_URL", self.redis_url.clone()),
        ]
    }
}

/// Short export intervals (milliseconds), because a person or a test waits for the spans. An empty service
/// name keeps the name of this process' environment out.
const OTEL: [(&str, &str); 5] = [
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "200"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "2000"),
    ("OTEL_SERVICE_NAME", ""),
];
