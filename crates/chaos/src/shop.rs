//! The product as real processes: two replicas of api and worker, a gateway, a lens, PostgreSQL and Redis. Each part has a lock of
//! its own: whoever harms it holds it, so that two faults of one part come one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use testkit::{Binaries, Database, Postgres, Redis, Service, Stack, StackBuilder};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Chaos;

/// How long a claim holds, so that a run is bounded. Longer than PAYMENT_TIMEOUT, as in production.
pub(crate) const LEASE: Duration = Duration::from_secs(4);

/// The settings that make a run short. All of them are an operator's to set; nothing in the product knows of chaos.
const SETTINGS: [(Service, &str, &str); 6] = [
    (Service::Api, "ORDER_DISPATCH_GRACE", "3s"),
    (Service::Worker, "ORDER_LEASE", "4s"),
    (Service::Worker, "PAYMENT_TIMEOUT", "1s"),
    (Service::Worker, "WORKER_CONCURRENCY", "32"),
    // A fault of the gateway may meet many attempts of one order.
    (Service::Worker, "ORDER_MAX_ATTEMPTS", "12"),
    (Service::Api, "SHUTDOWN_TIMEOUT", "10s"),
];

/// How often it is asked whether an api is ready, as a load balancer does it.
const PROBE: Duration = Duration::from_millis(100);

pub(crate) struct Shop {
    pub(crate) postgres: Mutex<Postgres>,
    pub(crate) redis: Mutex<Redis>,
    pub(crate) lens: Mutex<Stack>,
    pub(crate) apis: [Mutex<Stack>; 2],
    pub(crate) workers: [Mutex<Stack>; 2],
    pub(crate) gateway_url: String,
    pub(crate) front: Front,
    pub(crate) http: reqwest::Client,
    gateway: Stack,
    gateway_latency: Duration,
    database: Database,
    logs: PathBuf,
}

/// What stands before the replicas of the api, as a Kubernetes Service does: it sends a request to one that said it is ready.
#[derive(Clone)]
pub(crate) struct Front {
    urls: [String; 2],
    ready: Arc<[AtomicBool; 2]>,
    probing: Arc<Probing>,
}

struct Probing(JoinHandle<()>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shop {
    pub(crate) async fn open(chaos: &Chaos, binaries: &Binaries) -> anyhow::Result<Self> {
        let postgres = Postgres::start().await?;
        let redis = Redis::start().await?;
        let database = postgres.database().await?;
        let logs = std::env::temp_dir().join(format!("throughline-chaos-{}", Uuid::now_v7().simple()));

        let stack = |name: &str, service| {
            let mut stack = Stack::builder(database.url(), redis.url())
                .binaries(binaries.clone())
                .logs(&logs.join(name))
                .only(&[service]);
            for (of, variable, value) in SETTINGS {
                stack = stack.env(of, variable, value);
            }
            stack
        };
        let lens = stack("lens", Service::Lens).start().await?;
        let otlp = lens.ports().otlp_http_url();
        let gateway = stack("gateway", Service::Gateway).telemetry_to(&otlp);
        let gateway = gateway.start().await?;
        let gateway_url = gateway.url(Service::Gateway);
        let api = |name| stack(name, Service::Api).telemetry_to(&otlp).start();
        let worker = |name| {
            let stack = stack(name, Service::Worker).telemetry_to(&otlp).env(
                Service::Worker,
                "PAYMENT_GATEWAY_URL",
                &gateway_url,
            );
            broken(stack, chaos.worker.as_ref()).start()
        };
        let apis = [api("api-0").await?, api("api-1").await?];
        let workers = [worker("worker-0").await?, worker("worker-1").await?];

        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(15))
            .build()?;
        let urls = [0, 1].map(|replica: usize| {
            let api = apis.get(replica);
            api.map(|api| api.url(Service::Api)).unwrap_or_default()
        });
        crate::audit::watch_final_states(&database).await?;
        let shop = Self {
            postgres: Mutex::new(postgres),
            redis: Mutex::new(redis),
            lens: Mutex::new(lens),
            apis: apis.map(Mutex::new),
            workers: workers.map(Mutex::new),
            gateway_url,
            front: Front::new(urls, http.clone()),
            http,
            gateway,
            gateway_latency: chaos.gateway_latency,
            database,
            logs,
        };
        shop.gateway_faults(None).await?;
        Ok(shop)
    }

    /// The folder with the log of each process.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Makes this part of the payments go wrong, in this way; `None` ends it.
    pub(crate) async fn gateway_faults(&self, fault: Option<(&str, f64)>) -> anyhow::Result<()> {
        let latency_ms = u64::try_from(self.gateway_latency.as_millis())?;
        let mut faults = json!({ "latency_ms": latency_ms });
        if let (Some(fields), Some((name, part))) = (faults.as_object_mut(), fault) {
            fields.insert(name.to_owned(), part.into());
        }
        let url = format!("{}/sandbox/faults", self.gateway_url);
        let answer = self.http.post(url).json(&faults).send().await?;
        answer
            .error_for_status()
            .context("the gateway refused the faults")?;
        Ok(())
    }

    /// Ends what writes to orders, in order: workers finish what they hold.
    pub(crate) async fn end_work(&mut self) -> anyhow::Result<()> {
        for stack in self.apis.iter_mut().chain(&mut self.workers) {
            stack.get_mut().end().await?;
        }
        Ok(())
    }

    /// Ends the rest; the logs go where nobody needs them.
    pub(crate) async fn close(mut self, clean: bool) -> anyhow::Result<()> {
        self.gateway.end().await?;
        self.lens.get_mut().end().await?;
        if clean {
            std::fs::remove_dir_all(&self.logs)
                .with_context(|| format!("cannot delete {}", self.logs.display()))?;
        }
        Ok(())
    }
}

/// With another program for the worker, where there is one.
fn broken(mut stack: StackBuilder, worker: Option<&(PathBuf, Vec<(String, String)>)>) -> StackBuilder {
    if let Some((program, environment)) = worker {
        stack = stack.program(Service::Worker, program);
        for (name, value) in environment {
            stack = stack.env(Service::Worker, name, value);
        }
    }
    stack
}

// === impl Front ===

impl Front {
    fn new(urls: [String; 2], http: reqwest::Client) -> Self {
        let ready = Arc::new([true, true].map(AtomicBool::new));
        let probing = tokio::spawn(probe(urls.clone(), ready.clone(), http));
        Self {
            urls,
            ready,
            probing: Arc::new(Probing(probing)),
        }
    }

    /// Where the `number`th request goes, and where it goes next if the first refuses the connection.
    pub(crate) fn route(&self, number: u32) -> impl Iterator<Item = &str> {
        debug_assert!(!self.probing.0.is_finished());
        let turn = usize::from(number % 2 == 1);
        let mut order = [turn, 1 - turn];
        order.sort_by_key(|replica| !self.is_ready(*replica));
        let urls = order.map(|replica| self.urls.get(replica));
        urls.into_iter().flatten().map(String::as_str)
    }

    fn is_ready(&self, replica: usize) -> bool {
        let ready = self.ready.get(replica);
        ready.is_some_and(|ready| ready.load(Ordering::Relaxed))
    }
}

async fn probe(urls: [String; 2], ready: Arc<[AtomicBool; 2]>, http: reqwest::Client) {
    loop {
        for (url, ready) in urls.iter().zip(ready.iter()) {
            let asked = http.get(format!("{url}/health/ready"));
            let answer = asked.timeout(Duration::from_secs(3)).send().await;
            let is_ready = answer.is_ok_and(|answer| answer.status().is_success());
            ready.store(is_ready, Ordering::Relaxed);
        }
        tokio::time::sleep(PROBE).await;
    }
}
