//! A program that cannot run prints the reason in one line, and ends with code 1.

use std::process::Output;

use testkit::Service;
use tokio::process::Command;

use crate::shop::binaries;

async fn run(service: Service, env: &[(&str, &str)]) -> Output {
    let path = binaries().await.program(service);
    let run = Command::new(path).env_clear().envs(env.iter().copied()).output();
    run.await.unwrap()
}

async fn error_line(service: Service, env: &[(&str, &str)]) -> String {
    let output = run(service, env).await;
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line.trim_end().to_owned()
}

const URLS: [(&str, &str); 2] = [
    ("DATABASE_URL", "postgres://user:hunter2@127.0.0.1/orders"),
    ("REDIS_URL", "redis://127.0.0.1"),
];

#[tokio::test]
async fn a_missing_variable_is_named() {
    for service in [Service::Api, Service::Worker] {
        let line = error_line(service, &[]).await;
        let required = "DATABASE_URL: is required; takes a URL: postgres://user:password@host:5432/database";
        assert_eq!(line, format!("{}: {required}", service.binary()));
    }
}

#[tokio::test]
async fn a_bad_value_is_named_with_what_is_accepted() {
    let env = [URLS[0], URLS[1], ("ORDER_LEASE", "soon")];
    let line = error_line(Service::Worker, &env).await;
    assert_eq!(
        line,
        "throughline-worker: ORDER_LEASE: got `soon`; takes a duration such as 500ms, 5s, 2m, 72h, or a number of seconds"
    );
}

#[tokio::test]
async fn only_development_starts_without_authentication() {
    for environment in ["production", "Production", "staging"] {
        let env = [URLS[0], URLS[1], ("ENVIRONMENT", environment)];
        let line = error_line(Service::Api, &env).await;
        assert!(line.contains("AUTH"), "{line}");
    }
}

/// The variables are those that the image sets.
#[tokio::test]
async fn the_image_does_not_start_without_authentication() {
    let dockerfile = std::fs::read_to_string(testkit::workspace().join("deploy/Dockerfile")).unwrap();
    let variables = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV "));
    let variables: Vec<_> = variables
        .flat_map(str::split_whitespace)
        .filter_map(|variable| variable.split_once('='))
        .collect();
    assert!(variables.contains(&("HOST", "0.0.0.0")), "{variables:?}");
    let line = error_line(Service::Api, &[&URLS, &variables[..]].concat()).await;
    assert!(line.starts_with("throughline-api: AUTH: is required"), "{line}");
}

#[tokio::test]
async fn a_service_that_others_can_reach_needs_an_environment() {
    for service in [Service::Api, Service::Worker, Service::Gateway] {
        let line = error_line(service, &[URLS[0], URLS[1], ("HOST", "0.0.0.0")]).await;
        assert!(
            line.contains("ENVIRONMENT: is required; takes development or"),
            "{line}"
        );
    }
}

/// The message has the variable, its value without the password, and the accepted values.
#[tokio::test]
async fn a_bad_url_is_named_without_its_password() {
    for (name, value, message) in [
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
            let line = error_line(service, &[URLS[0], URLS[1], (name, value)]).await;
            let expected = format!("{}: {name}: {message}", service.binary());
            assert!(line.starts_with(&expected), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [
        URLS[0],
        URLS[1],
        ("PORT", port.as_str()),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let line = error_line(Service::Worker, &env).await;
    assert!(
        line.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{line}"
    );
}
