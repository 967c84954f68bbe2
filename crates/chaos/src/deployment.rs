//! The product as real processes: two replicas of api and worker, a gateway, a lens, PostgreSQL and Redis.
//! Each part has its own lock, which a fault holds: two faults of one part run one after the other.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use testkit::{Binaries, Database, Postgres, Proxy, Redis, Service, Stack, StackBuilder};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::audit;
use crate::balancer::LoadBalancer;

/// ORDER_LEASE: short, so that a run is short. Longer than PAYMENT_TIMEOUT, as in production.
pub(crate) const LEASE: Duration = Duration::from_secs(4);

/// ORDER_DISPATCH_GRACE.
pub(crate) const DISPATCH_GRACE: Duration = Duration::from_secs(3);

/// A setting of one service.
pub(crate) type Setting = (Service, &'static str, &'static str);

/// Settings that shorten a run. An operator can set each of them; the product has no code for chaos.
pub(crate) const SHORTENED: [Setting; 5] = [
    (Service::Api, "ORDER_DISPATCH_GRACE", "3s"),
    (Service::Worker, "ORDER_LEASE", "4s"),
    (Service::Worker, "PAYMENT_TIMEOUT", "1s"),
    (Service::Worker, "WORKER_CONCURRENCY", "32"),
    (Service::Api, "SHUTDOWN_TIMEOUT", "10s"),
];

/// A program to run in place of the worker, with additional environment variables.
pub(crate) type WorkerProgram = (PathBuf, Vec<(String, String)>);

pub(crate) struct Deployment {
    pub(crate) postgres: Mutex<Postgres>,
    /// Leads to the primary.
    pub(crate) postgres_endpoint: Proxy,
    pub(crate) redis: Mutex<Redis>,
    pub(crate) lens: Mutex<Stack>,
    pub(crate) apis: [Mutex<Stack>; 2],
    pub(crate) workers: [Mutex<Stack>; 2],
    pub(crate) gateway_url: String,
    /// Leads the workers to the gateway.
    pub(crate) gateway_endpoint: Proxy,
    pub(crate) balancer: LoadBalancer,
    pub(crate) http: reqwest::Client,
    pub(crate) database: Database,
    /// The folder with the log of each process.
    pub(crate) logs: PathBuf,
    gateway: Stack,
    gateway_latency: Duration,
}

impl Deployment {
    pub(crate) async fn start(
        binaries: &Binaries,
        gateway_latency: Duration,
        settings: &[Setting],
        worker_program: Option<&WorkerProgram>,
    ) -> anyhow::Result<Self> {
        let postgres = Postgres::start_durable().await?;
        let redis = Redis::start().await?;
        let postgres_endpoint = Proxy::start(&postgres.url()).await?;
        let database = postgres.database().await?.behind(&postgres_endpoint)?;
        let logs = std::env::temp_dir().join(format!("throughline-chaos-{}", Uuid::now_v7().simple()));

        let stack = |name: &str, service| {
            let stack = Stack::builder(database.url(), redis.url())
                .binaries(binaries.clone())
                .logs(&logs.join(name))
                .only(&[service]);
            settings.iter().fold(stack, |stack, (service, name, value)| {
                stack.env(*service, name, value)
            })
        };
        let lens = stack("lens", Service::Lens).start().await?;
        let otlp = lens.ports().otlp_http_url();
        let gateway = stack("gateway", Service::Gateway).telemetry_to(&otlp);
        let gateway = gateway.start().await?;
        let gateway_url = gateway.url(Service::Gateway);
        let gateway_endpoint = Proxy::start(&gateway_url).await?;
        let api = |name| stack(name, Service::Api).telemetry_to(&otlp).start();
        let worker = |name| {
            let stack = stack(name, Service::Worker).telemetry_to(&otlp);
            let stack = stack.env(Service::Worker, "PAYMENT_GATEWAY_URL", gateway_endpoint.url());
            with_program(stack, worker_program).start()
        };
        let apis = [api("api-0").await?, api("api-1").await?];
        let workers = [worker("worker-0").await?, worker("worker-1").await?];

        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()?;
        let urls = apis.each_ref().map(|api| api.url(Service::Api));
        audit::record_writes_to_final_orders(&database).await?;
        let deployment = Self {
            postgres: Mutex::new(postgres),
            postgres_endpoint,
            redis: Mutex::new(redis),
            lens: Mutex::new(lens),
            apis: apis.map(Mutex::new),
            workers: workers.map(Mutex::new),
            gateway_url,
            gateway_endpoint,
            balancer: LoadBalancer::start(urls, http.clone()),
            http,
            database,
            logs,
            gateway,
            gateway_latency,
        };
        deployment.set_gateway_faults(json!({})).await?;
        Ok(deployment)
    }

    /// Sets the gateway's faults, an object; an empty one ends every fault.
    pub(crate) async fn set_gateway_faults(&self, mut faults: Value) -> anyhow::Result<()> {
        let latency_ms = u64::try_from(self.gateway_latency.as_millis())?;
        let fields = faults.as_object_mut().context("faults are an object")?;
        fields.insert("latency_ms".to_owned(), latency_ms.into());
        let url = format!("{}/sandbox/faults", self.gateway_url);
        let response = self.http.post(url).json(&faults).send().await?;
        response
            .error_for_status()
            .context("the gateway rejected the faults")?;
        Ok(())
    }

    /// How many requests the gateway got from the workers.
    pub(crate) async fn gateway_requests(&self) -> anyhow::Result<u64> {
        let url = format!("{}/sandbox/stats", self.gateway_url);
        let stats: Value = self.http.get(url).send().await?.json().await?;
        let requests = stats.get("requests").and_then(Value::as_u64);
        requests.context("the gateway counts no requests")
    }

    /// Stops every process that writes to orders. Workers finish their attempts.
    pub(crate) async fn stop_apis_and_workers(&mut self) -> anyhow::Result<()> {
        for stack in self.apis.iter_mut().chain(&mut self.workers) {
            stack.get_mut().end().await?;
        }
        Ok(())
    }

    /// Stops the remaining processes.
    pub(crate) async fn stop(mut self, delete_logs: bool) -> anyhow::Result<()> {
        self.gateway.end().await?;
        self.lens.get_mut().end().await?;
        if delete_logs {
            let failed = || format!("cannot delete {}", self.logs.display());
            std::fs::remove_dir_all(&self.logs).with_context(failed)?;
        }
        Ok(())
    }
}

fn with_program(stack: StackBuilder, worker: Option<&WorkerProgram>) -> StackBuilder {
    let Some((program, environment)) = worker else {
        return stack;
    };
    let stack = stack.program(Service::Worker, program);
    environment.iter().fold(stack, |stack, (name, value)| {
        stack.env(Service::Worker, name, value)
    })
}
