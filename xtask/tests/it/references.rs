//! Documents name files and tests that exist.

use std::fs;
use std::path::Path;
use std::process::Command;

const DOCUMENTS: [&str; 19] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "BENCHMARKS.md",
    "docs/api.md",
    "docs/architecture.md",
    "docs/capacity.md",
    "docs/console.md",
    "docs/disaster.md",
    "docs/guide.md",
    "docs/kit.md",
    "docs/lens.md",
    "docs/migrating.md",
    "docs/operating.md",
    "docs/reliability.md",
    "docs/security.md",
    "docs/telemetry.md",
    "docs/upgrading.md",
    "docs/upstream.md",
];

#[test]
fn every_file_that_a_document_names_exists() {
    let files = tracked();
    let exists = |path: &str| {
        files
            .iter()
            .any(|file| file == path || file.starts_with(&format!("{path}/")))
    };
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        for word in quoted(document) {
            let path = word.split("::").next().unwrap();
            let is_path = path.contains('/') && path.ends_with(".rs");
            if is_path && !exists(path) && !exists(&format!("crates/{path}")) {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_picture_that_a_document_shows_exists() {
    let files = tracked();
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let folder = document.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
        let shown = text
            .split(['(', '"'])
            .filter_map(|rest| rest.split([')', '"']).next());
        for picture in shown.filter(|path| path.ends_with(".png")) {
            let path = format!("{}{picture}", folder.clone().unwrap_or_default());
            if !files.contains(&path) {
                missing.push(format!("{document}: {picture}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources: Vec<_> = tracked()
        .into_iter()
        .filter(|file| file.ends_with(".rs"))
        .map(|file| read(&file))
        .collect();
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        for word in quoted(document) {
            // A test is named by its module; a type's function begins with a capital.
            let Some((module, name)) = word.rsplit_once("::") else {
                continue;
            };
            let is_name = name.chars().all(|c| c.is_alphanumeric() || "_…".contains(c));
            let is_test = module.starts_with(char::is_lowercase) && name.contains('_') && is_name;
            // An ellipsis stands for the rest of a long name.
            let declared = match name.strip_suffix('…') {
                Some(start) => format!("fn {start}"),
                None => format!("fn {name}("),
            };
            if is_test && !sources.iter().any(|source| source.contains(&declared)) {
                missing.push(format!("{document}: {word}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// What a document has between backticks, code blocks aside.
fn quoted(document: &str) -> Vec<String> {
    let text = read(document);
    let prose = text.split("```").step_by(2);
    let words = prose.flat_map(|prose| prose.split('`').skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_default()
}

fn tracked() -> Vec<String> {
    let mut git = Command::new("git");
    let output = git.arg("ls-files").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "git ls-files");
    let files = String::from_utf8(output.stdout).unwrap();
    files.lines().map(str::to_owned).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
