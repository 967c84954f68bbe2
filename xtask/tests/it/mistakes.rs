//! An error is printed as one clear line, and leaves nothing running.

use std::net::TcpListener;

use crate::xtask::Xtask;

#[test]
fn a_port_in_use_is_named_with_the_service_that_needs_it() {
    // If another process uses one of the ports already, that one is named.
    let _held = TcpListener::bind("127.0.0.1:8080");
    let line = Xtask::new("port").run("up --detach").fails_with_one_line();
    assert!(
        line.contains("on 127.0.0.1 is in use, and throughline-"),
        "{line}"
    );
    assert!(line.contains("--free-ports"), "{line}");
}

#[test]
fn a_wrong_database_url_is_named_without_its_password() {
    let xtask = Xtask::new("database").env("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/orders");
    let line = xtask.run("up --free-ports").fails_with_one_line();
    assert!(
        line.starts_with("error: DATABASE_URL: cannot reach PostgreSQL at 127.0.0.1:1"),
        "{line}"
    );
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn a_wrong_redis_url_is_named_without_its_password() {
    for (url, problem) in [
        ("redis://:secret@127.0.0.1:1", "cannot reach Redis at 127.0.0.1:1"),
        ("http://secret", "not a Redis URL"),
    ] {
        let line = Xtask::new("redis")
            .env("REDIS_URL", url)
            .run("up --free-ports")
            .fails_with_one_line();
        assert!(
            line.starts_with(&format!("error: REDIS_URL: {problem}")),
            "{line}"
        );
        assert!(!line.contains("secret"), "{line}");
    }
}

#[test]
fn a_server_that_is_missing_and_cannot_be_installed_is_named_with_the_package() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reachable = format!("postgres://me@{}/orders", listener.local_addr().unwrap());
    let empty = std::env::temp_dir().join("throughline-no-programs");
    for (database_url, server, package, variable) in [
        ("", "PostgreSQL", "postgresql", "DATABASE_URL"),
        (reachable.as_str(), "Redis", "redis-server", "REDIS_URL"),
    ] {
        let line = Xtask::new("missing")
            .env("THROUGHLINE_PROGRAMS", empty.to_str().unwrap())
            .env("DATABASE_URL", database_url)
            .run("up --free-ports")
            .fails_with_one_line();
        assert!(
            line.starts_with(&format!("error: {server} is not installed")),
            "{line}"
        );
        let install = format!("`sudo apt-get install {package}`");
        assert!(line.contains(&install) && line.contains(variable), "{line}");
    }
}

#[test]
fn a_database_url_with_an_sslmode_of_the_services_is_accepted() {
    let url = "postgres://me:secret@127.0.0.1:1/orders?sslmode=verify-full";
    let xtask = Xtask::new("tls").env("DATABASE_URL", url);
    let line = xtask.run("up --free-ports").fails_with_one_line();
    assert!(line.contains("cannot reach PostgreSQL at 127.0.0.1:1"), "{line}");
}

#[test]
fn an_order_without_a_stack_prints_how_to_start_one() {
    let xtask = Xtask::new("order").env("THROUGHLINE_API_URL", "http://127.0.0.1:1");
    let line = xtask.run("order").fails_with_one_line();
    assert_eq!(
        line,
        "error: nothing listens at http://127.0.0.1:1: start the stack with `cargo xtask up`\n"
    );
}

#[test]
fn a_trace_of_another_kind_of_id_is_rejected() {
    let line = Xtask::new("trace").run("trace ../secret").fails_with_one_line();
    assert!(line.contains("neither an order's id nor a trace id"), "{line}");
}
