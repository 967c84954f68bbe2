//! The Rust code of the guide is quoted: from a program that runs, and from documentation that is compiled.
//! The kit's README shows the whole service that `cargo xtask package` runs.

use std::fs;
use std::path::Path;

const GUIDE: &str = include_str!("../../../docs/guide.md");
const KIT: &str = include_str!("../../../crates/telemetry/README.md");
const SERVICE: &str = include_str!("../../consumer/src/main.rs");
const SOURCES: [&str; 4] = [
    "crates/telemetry/examples/guide.rs",
    "crates/telemetry/examples/apalis.rs",
    "crates/telemetry/src/capture.rs",
    "crates/mask/src/pattern.rs",
];

#[test]
fn the_code_of_the_guide_is_quoted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |file| lines(&fs::read_to_string(root.join(file)).unwrap());
    let sources = SOURCES.map(read);
    let blocks: Vec<&str> = GUIDE.split("```rust\n").skip(1).collect();
    assert!(blocks.len() > 15, "{}", blocks.len());
    let quotes = blocks
        .iter()
        .flat_map(|block| block.split("```").next().unwrap().split("\n\n"));
    let is_unknown = |quote: &&str| {
        let quote = lines(quote);
        let is_in = |source: &Vec<String>| source.windows(quote.len()).any(|lines| lines == quote);
        !sources.iter().any(is_in)
    };
    let unknown: Vec<&str> = quotes.filter(is_unknown).collect();
    assert!(unknown.is_empty(), "{}", unknown.join("\n\n"));
}

#[test]
fn the_readme_of_the_kit_shows_a_traced_service_of_fewer_than_25_lines_beside_its_imports() {
    assert!(
        KIT.contains(&format!("```rust,no_run\n{SERVICE}```")),
        "{SERVICE}"
    );
    let is_counted = |line: &&str| !(line.is_empty() || line.starts_with("//") || line.starts_with("use "));
    assert!(SERVICE.lines().filter(is_counted).count() < 25, "{SERVICE}");
}

/// Without indentation, the marks of documentation, and the lines that it hides.
fn lines(text: &str) -> Vec<String> {
    let lines = text.trim().lines().map(str::trim).map(|line| {
        let documentation = line.strip_prefix("//!").or(line.strip_prefix("///"));
        documentation.unwrap_or(line).trim()
    });
    let shown = lines.filter(|line| !line.starts_with("# "));
    shown.map(str::to_owned).collect()
}
