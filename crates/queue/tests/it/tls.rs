//! `rediss://` with a private certificate authority. The roots are in the file that `SSL_CERT_FILE` names, in
//! the environment of another process: this one's cannot be changed safely.

use std::process::Stdio;

use testkit::Redis;
use throughline_queue::{Queue, QueueConfig};
use tokio::process::Command;

use crate::support::{Worker, nothing, until_idle};

/// Those of the store's tests: `server.pem` is for `localhost` only, signed by `ca.pem`.
macro_rules! pem {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../store/tests/it/tls/", $name)
    };
}
const URL: &str = "QUEUE_TEST_TLS_URL";

#[tokio::test]
async fn a_queue_works_over_tls_if_the_servers_certificate_is_trusted() {
    let redis = Redis::start().await.unwrap();
    let port = testkit::free_port().unwrap();
    let enable = redis::cmd("CONFIG")
        .arg("SET")
        .arg(&["tls-cert-file", pem!("server.pem")])
        .arg(&["tls-key-file", pem!("server.key")])
        .arg(&["tls-ca-cert-file", pem!("ca.pem")])
        .arg(&["tls-auth-clients", "no"])
        .arg("tls-port")
        .arg(port)
        .to_owned();
    enable
        .exec_async(&mut redis.connect().await.unwrap())
        .await
        .unwrap();

    for (host, ca, works) in [
        ("localhost", pem!("ca.pem"), true),
        ("localhost", pem!("other_ca.pem"), false),
        ("127.0.0.1", pem!("ca.pem"), false),
    ] {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["tls::jobs_over_tls", "--exact", "--ignored"])
            .env("SSL_CERT_FILE", ca)
            .env(URL, format!("rediss://{host}:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .unwrap();
        assert_eq!(status.success(), works, "{host} {ca}");
    }
}

#[tokio::test]
#[ignore = "runs in a process that trusts another certificate authority"]
async fn jobs_over_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = QueueConfig::new(std::env::var(URL).unwrap(), "tls");
    let queue = Queue::<u32>::connect(config).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("job", &1).await.unwrap();
    worker.until_seen(1).await;
    until_idle(&queue).await;
    worker.stop().await;
}
