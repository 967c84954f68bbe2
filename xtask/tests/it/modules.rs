//! No crate has a circle of modules: of two modules, at most one uses the other, directly or through others.

use std::fs;
use std::path::{Path, PathBuf};

use graph::circles;
use source::Files;

mod graph;
mod source;

#[test]
fn no_crate_has_a_circle_of_modules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut crates: Vec<PathBuf> = entries(&root.join("crates"));
    crates.push(root.join("xtask"));
    let mut found = String::new();
    for path in crates {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut files = Files::new();
        read(&path.join("src"), "", &mut files);
        for circle in circles(&files) {
            found += &format!("{name}: {circle}\n");
        }
    }
    assert!(found.is_empty(), "{found}");
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    entries
}

fn read(folder: &Path, prefix: &str, files: &mut Files) {
    for path in entries(folder) {
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.insert(name, fs::read_to_string(path).unwrap());
        }
    }
}

/// The circles of a made-up crate.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    circles(&files.iter().map(owned).collect())
}

#[test]
fn two_modules_that_use_each_other_are_a_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B;\nfn f() { json!({ \"a\": crate::a::A }) }"),
    ]);
    assert_eq!(found, ["a -> b -> a\n    a -> b: a.rs:1\n    b -> a: b.rs:2"]);
}

#[test]
fn modules_that_use_others_one_way_are_no_circle() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b; mod c; fn f() { a::f() }"),
        (
            "a.rs",
            "use super::b; use crate::c::{self, C}; pub fn f() { b::f(); c::f(); }",
        ),
        (
            "b.rs",
            "use std::fmt; pub fn f() { fmt::b(); x.a(); let a: C = 1; }",
        ),
        (
            "c.rs",
            "pub struct C; pub fn f() { crate::b::f() }\n#[cfg(test)] mod tests { use crate::a::f; }",
        ),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_reexport_stands_for_the_module_that_defines_the_item() {
    let files = |b: &'static str| {
        [
            (
                "lib.rs",
                "mod a; mod b; pub use a::{A, inner::Deep}; pub(crate) use b::B as Renamed;",
            ),
            (
                "a/mod.rs",
                "pub mod inner; pub struct A; fn f() { crate::Renamed }",
            ),
            ("a/inner.rs", "pub struct Deep;"),
            ("b.rs", b),
        ]
    };
    assert_eq!(circles_of(&files("pub struct B;")), [""; 0]);
    let found = circles_of(&files("pub struct B(\ncrate::Deep);"));
    assert_eq!(found, ["a -> b -> a\n    a -> b: a/mod.rs:1\n    b -> a: b.rs:2"]);
}

#[test]
fn a_child_and_the_parent_that_uses_it_are_a_circle() {
    let files = |child: &'static str| {
        [
            ("lib.rs", "mod parent;"),
            (
                "parent/mod.rs",
                "mod child; mod sibling; pub use child::C; pub struct P;\nfn f() { child::f() }",
            ),
            ("parent/child.rs", child),
            ("parent/sibling.rs", "pub struct S;"),
        ]
    };
    assert_eq!(
        circles_of(&files("pub struct C; use super::sibling::S;")),
        [""; 0]
    );
    let found = circles_of(&files("pub struct C; fn f() { super::P }"));
    let arrows = "\n    parent/mod.rs -> parent::child: parent/mod.rs:2\
        \n    parent::child -> parent/mod.rs: parent/child.rs:1";
    assert_eq!(
        found,
        [format!("parent/mod.rs -> parent::child -> parent/mod.rs{arrows}")]
    );
}

#[test]
fn two_folders_that_use_each_other_are_a_circle_whichever_files_do_it() {
    let found = circles_of(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod one; pub mod two;"),
        ("a/one.rs", "use crate::b::three::T;"),
        ("a/two.rs", ""),
        ("b/mod.rs", "pub mod three; mod four;"),
        ("b/three.rs", "pub struct T;"),
        ("b/four.rs", "fn f() { super::super::a::two::g() }"),
    ]);
    assert_eq!(
        found,
        ["a -> b -> a\n    a -> b: a/one.rs:1\n    b -> a: b/four.rs:1"]
    );
}

#[test]
fn a_longer_circle_is_printed_by_its_shortest_round() {
    let found = circles_of(&[
        ("main.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C; use crate::a::A;"),
        ("c.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("a -> b -> a (3 modules in all)\n"),
        "{}",
        found[0]
    );
}
