//! What goes wrong on a person's machine is one clear line, and leaves nothing running.

use std::net::TcpListener;

use crate::xtask::Xtask;

#[test]
fn a_port_in_use_is_named_with_who_needs_it() {
    // Somebody else may hold one of the ports already: then that one is named.
    let _held = TcpListener::bind("127.0.0.1:8080");
    let said = Xtask::new("port").run("up --detach").fails_with_one_line();
    assert!(
        said.contains("on 127.0.0.1 is in use, and throughline-"),
        "{said}"
    );
    assert!(said.contains("--free-ports"), "{said}");
}

#[test]
fn a_wrong_database_url_is_named_without_its_password() {
    let xtask = Xtask::new("database").env("DATABASE_URL", "postgres://me:secret@127.0.0.1:1/orders");
    let said = xtask.run("up --free-ports").fails_with_one_line();
    assert!(
        said.starts_with("error: DATABASE_URL: cannot reach PostgreSQL at 127.0.0.1:1"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_wrong_redis_url_is_named_without_its_password() {
    for (url, problem) in [
        ("redis://:secret@127.0.0.1:1", "cannot reach Redis at 127.0.0.1:1"),
        ("http://secret", "not a Redis URL"),
    ] {
        let said = Xtask::new("redis")
            .env("REDIS_URL", url)
            .run("up --free-ports")
            .fails_with_one_line();
        assert!(
            said.starts_with(&format!("error: REDIS_URL: {problem}")),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_server_that_is_not_there_and_cannot_be_got_is_named_with_what_installs_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let reachable = format!("postgres://me@{}/orders", listener.local_addr().unwrap());
    let empty = std::env::temp_dir().join("throughline-no-programs");
    for (database_url, server, package, variable) in [
        ("", "PostgreSQL", "postgresql", "DATABASE_URL"),
        (reachable.as_str(), "Redis", "redis-server", "REDIS_URL"),
    ] {
        let said = Xtask::new("missing")
            .env("THROUGHLINE_PROGRAMS", empty.to_str().unwrap())
            .env("DATABASE_URL", database_url)
            .run("up --free-ports")
            .fails_with_one_line();
        assert!(
            said.starts_with(&format!("error: {server} is not installed")),
            "{said}"
        );
        let install = format!("`sudo apt-get install {package}`");
        assert!(said.contains(&install) && said.contains(variable), "{said}");
    }
}

#[test]
fn a_database_url_with_the_services_words_for_tls_is_taken() {
    let url = "postgres://me:secret@127.0.0.1:1/orders?sslmode=verify-full";
    let xtask = Xtask::new("tls").env("DATABASE_URL", url);
    let said = xtask.run("up --free-ports").fails_with_one_line();
    assert!(said.contains("cannot reach PostgreSQL at 127.0.0.1:1"), "{said}");
}

#[test]
fn an_order_without_a_stack_says_how_to_start_one() {
    let xtask = Xtask::new("order").env("THROUGHLINE_API_URL", "http://127.0.0.1:1");
    let said = xtask.run("order").fails_with_one_line();
    assert_eq!(
        said,
        "error: nothing answers at http://127.0.0.1:1: start the stack with `cargo xtask up`\n"
    );
}

#[test]
fn a_trace_of_something_else_is_refused() {
    let said = Xtask::new("trace").run("trace ../secret").fails_with_one_line();
    assert!(said.contains("neither an order's id nor a trace id"), "{said}");
}
