//! Starts the program for one test, with its own database and queue.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::Database;
use uuid::Uuid;

use crate::response::Response;

/// A running throughline-api. Ends when dropped.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) database: Database,
    pub(crate) queue: String,
    redis_url: String,
    client: Client,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With these variables besides the required ones.
    pub(crate) async fn with(environment: &[(&str, &str)]) -> Self {
        let database = testkit::database().await.unwrap();
        store::migrate(database.url()).await.unwrap();
        Self::on(database, environment).await
    }

    /// On an existing database.
    pub(crate) async fn on(database: Database, environment: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redis_url = testkit::redis().await.unwrap().url().to_owned();
        let queue = format!("api-test-{}", Uuid::new_v4().simple());
        let mut child = Command::new(env!("CARGO_BIN_EXE_throughline-api"))
            .env_clear()
            .env("PORT", "0")
            .env("HTTP_WORKERS", "2")
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", &redis_url)
            .env("QUEUE_NAME", &queue)
            // Nothing listens there: requests are traced, and the traces are lost.
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let output = child.wait_with_output().unwrap();
                panic!("it did not start: {}", String::from_utf8_lossy(&output.stderr));
            };
            if let Some((_, rest)) = line.split_once("taking orders at ") {
                break rest.split([' ', '"']).next().unwrap().to_owned();
            }
        };
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in lines.map_while(Result::ok) {
                    let mut log = log.lock().unwrap();
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        Self {
            url: format!("http://{address}"),
            database,
            queue,
            redis_url,
            client: Client::builder().no_proxy().build().unwrap(),
            child,
            log,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        Response::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        Response::of(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        Response::of(self.request(Method::DELETE, path)).await
    }

    /// A new order of 99.99 USD; its id.
    pub(crate) async fn order(&self) -> String {
        let response = self.post("/api/orders", &widget()).await;
        assert_eq!(response.status, 201, "{response:?}");
        response.body["id"].as_str().unwrap().to_owned()
    }

    /// Sends SIGTERM, as Kubernetes does.
    pub(crate) fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end, and returns the exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let deadline = std::time::Duration::from_secs(60);
        let child = &mut self.child;
        testkit::eventually("its end", deadline, || {
            std::future::ready(child.try_wait().unwrap())
        })
        .await
        .code()
    }

    /// The memory that the kernel counts for it: `VmRSS` or `VmHWM`, in bytes.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        let kibibytes = line.trim_matches([':', ' ', '\t']).strip_suffix(" kB").unwrap();
        kibibytes.trim().parse::<u64>().unwrap() * 1024
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// The log lines since it started to listen.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The store that it writes to.
    pub(crate) fn store(&self) -> store::Store {
        store::Store::new(store::StoreConfig::new(self.database.url(), "api-test")).unwrap()
    }

    /// The queue that it dispatches into.
    pub(crate) fn queue_config(&self) -> queue::QueueConfig {
        queue::QueueConfig::new(self.redis_url.as_str(), &self.queue)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a minimal order.
pub(crate) fn widget() -> Value {
    json!({ "product_name": "Widget", "amount": "99.99" })
}
