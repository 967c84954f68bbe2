//! Documents name files, headings and tests that exist, and their tables are tables.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_file_that_a_document_names_exists() {
    let files = tracked();
    let exists = |path: &str| {
        files
            .iter()
            .any(|file| file == path || file.starts_with(&format!("{path}/")))
    };
    let mut missing = Vec::new();
    for document in documents() {
        for word in quoted(&document) {
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
fn every_test_that_a_document_names_exists() {
    let sources: Vec<_> = tracked()
        .into_iter()
        .filter(|file| file.ends_with(".rs"))
        .map(|file| read(&file))
        .collect();
    let mut missing = Vec::new();
    for document in documents() {
        for word in quoted(&document) {
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

#[test]
fn every_link_of_a_document_leads_to_a_file_and_a_heading() {
    let mut missing = Vec::new();
    for document in documents() {
        let folder = Path::new(&document).parent().unwrap();
        for link in links(&prose(&document)) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = match path {
                "" => document.clone(),
                path => folder.join(path).display().to_string(),
            };
            let exists = root().join(&target).exists();
            if !exists || !(heading.is_empty() || headings(&target).contains(&heading.to_owned())) {
                missing.push(format!("{document}: {link}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Otherwise it is shown as text.
#[test]
fn every_row_of_a_table_has_as_many_cells_as_its_head() {
    let mut wrong = Vec::new();
    for document in documents() {
        let mut cells = None;
        for line in prose(&document).lines() {
            // `\|` is a character of a cell.
            let count = line
                .starts_with('|')
                .then(|| line.replace("\\|", "").matches('|').count());
            if count != cells && count.is_some() && cells.is_some() {
                wrong.push(format!("{document}: {line}"));
            }
            cells = count;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn documents() -> impl Iterator<Item = String> {
    tracked().into_iter().filter(|file| file.ends_with(".md"))
}

/// What a document has between backticks, code blocks aside.
fn quoted(document: &str) -> Vec<String> {
    let prose = prose(document);
    let words = prose.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// Where links and pictures lead.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    let ends = [("](", ')'), ("src=\"", '"')];
    let found = ends.map(|(start, end)| {
        let rests = prose.split(start).skip(1);
        rests.filter_map(move |rest| rest.split(end).next())
    });
    found.into_iter().flatten()
}

/// A document without its code blocks.
fn prose(document: &str) -> String {
    read(document).split("```").step_by(2).collect()
}

/// The anchors of a document's headings.
fn headings(document: &str) -> Vec<String> {
    let prose = prose(document);
    let titles = prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let is_kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    titles
        .map(|title| {
            title
                .chars()
                .filter(is_kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
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
