//! A program that cannot run says why in one line, and ends with code 1.

use std::process::Output;

use testkit::Service;
use tokio::process::Command;

use crate::shop::binaries;

async fn run(service: Service, env: &[(&str, &str)]) -> Output {
    let path = binaries().await.program(service);
    let run = Command::new(path).env_clear().envs(env.iter().copied()).output();
    run.await.unwrap()
}

async fn complaint(service: Service, env: &[(&str, &str)]) -> String {
    let output = run(service, env).await;
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint.trim_end().to_owned()
}

const PLACES: [(&str, &str); 2] = [
    ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1/orders"),
    ("REDIS_URL", "redis://127.0.0.1"),
];

#[tokio::test]
async fn a_missing_variable_is_named() {
    for service in [Service::Api, Service::Worker] {
        let complaint = complaint(service, &[]).await;
        let required = "DATABASE_URL: is required; takes a URL: postgres://user:password@host:5432/database";
        assert_eq!(complaint, format!("{}: {required}", service.binary()));
    }
}

#[tokio::test]
async fn a_bad_value_is_named_with_what_is_accepted() {
    let env = [PLACES[0], PLACES[1], ("ORDER_LEASE", "soon")];
    let complaint = complaint(Service::Worker, &env).await;
    assert_eq!(
        complaint,
        "throughline-worker: ORDER_LEASE: got `soon`; takes a duration such as 500ms, 5s, 2m, or a number of seconds"
    );
}

#[tokio::test]
async fn only_development_starts_without_authentication() {
    for environment in ["production", "Production", "staging"] {
        let env = [PLACES[0], PLACES[1], ("ENVIRONMENT", environment)];
        let complaint = complaint(Service::Api, &env).await;
        assert!(complaint.contains("AUTH"), "{complaint}");
    }
}

/// The variable, what it got without a password, and what it takes.
#[tokio::test]
async fn a_bad_place_is_named_without_its_password() {
    for (name, value, said) in [
        (
            "DATABASE_URL",
            "mysql://user:hunter2@127.0.0.1/orders",
            "got `mysql://***`; takes a URL: postgres://user:password@host:5432/database (",
        ),
        (
            "DATABASE_URL",
            "postgres://user:hunter2@127.0.0.1/orders?sslmode=maybe",
            "got `postgres://***`; takes a URL: postgres://user:password@host:5432/database (",
        ),
        (
            "DATABASE_URL",
            "postgres://user:hunter2@127.0.0.1/orders?sslmode=verify-ca&sslrootcert=/no/such.pem",
            "got `postgres://***`; takes a URL: postgres://user:password@host:5432/database (",
        ),
        (
            "REDIS_URL",
            "http://:hunter2@127.0.0.1",
            "got `http://***`; takes a URL: redis://host:6379, or rediss:// for TLS",
        ),
        (
            "QUEUE_NAME",
            "orders:meta",
            "got `orders:meta`; takes 1 to 64 letters, digits, `-`, `_` or `.`",
        ),
    ] {
        for service in [Service::Api, Service::Worker] {
            // The last value of a name counts.
            let complaint = complaint(service, &[PLACES[0], PLACES[1], (name, value)]).await;
            let expected = format!("{}: {name}: {said}", service.binary());
            assert!(complaint.starts_with(&expected), "{complaint}");
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [
        PLACES[0],
        PLACES[1],
        ("PORT", port.as_str()),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let complaint = complaint(Service::Worker, &env).await;
    assert!(
        complaint.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{complaint}"
    );
}
