//! The examples of docs/api.md work as they are printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::xtask::Xtask;

const DOCS: &str = include_str!("../../../docs/api.md");

/// Runs the same commands, but `up` with free ports.
const CARGO: &str = r#"#!/bin/sh
shift
[ "$1" = up ] && shift && set -- up --free-ports "$@"
exec "$XTASK" "$@"
"#;
/// An error response fails the example.
const CURL: &str = r#"#!/bin/sh
exec "$CURL" --fail-with-body --silent --show-error "$@"
"#;
const API: &str = r#"$(sed -n 's/.*"api": *"\([^"]*\)".*/\1/p' "$THROUGHLINE_LOCAL/stack.json")"#;

#[test]
fn every_example_of_the_api_works_as_printed() {
    let xtask = Xtask::new("documentation");
    xtask.run("up --detach --free-ports").succeeds();
    let programs = xtask.folder().join("programs");
    fs::create_dir_all(&programs).unwrap();
    for (name, script) in [("cargo", CARGO), ("curl", CURL)] {
        let path = programs.join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let examples: Vec<&str> = DOCS
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 7);
    let examples = examples.concat().replace("http://127.0.0.1:8080", API);
    // It uses the JWT_SECRET of the last example, which starts the api with authentication.
    let script = examples + "cargo xtask order --watch\n";
    let path = std::env::var("PATH").unwrap();
    let curl = std::env::split_paths(&path)
        .map(|folder| folder.join("curl"))
        .find(|curl| curl.is_file())
        .expect("curl");
    let mut shell = xtask.shell(&script);
    shell.env("CURL", curl).env("PATH", prefixed(&programs, &path));
    let ran = shell.output().unwrap();
    let output = String::from_utf8_lossy(&ran.stdout);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{output}\n{errors}");
    for text in [
        "HTTP/1.1 201 Created",
        "\"status\":\"completed\"",
        "data: {",
        "\"next_cursor\"",
    ] {
        assert!(output.contains(text), "{text}: {output}\n{errors}");
    }
}

fn prefixed(folder: &Path, path: &str) -> String {
    format!("{}:{path}", folder.display())
}
