//! The project's language: plain words, and comments that fit a window. CONTRIBUTING.md has the glossary.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Words that hide who does something, or what happens; in parts, so that a search for them finds no file.
const FORBIDDEN: [&str; 11] = [
    concat!("who", "ever"),
    concat!("no", "body"),
    concat!("some", "body"),
    concat!("a", "new"),
    concat!("often", "er"),
    concat!("in", " vain"),
    concat!("takes", " leave"),
    concat!("had", " better"),
    concat!("is", " away"),
    concat!("are", " away"),
    concat!("of no", " more use"),
];
const MAX_COLUMNS: usize = 110;

#[test]
fn no_file_uses_a_forbidden_word() {
    let found = lines(|_, line| {
        let lower = line.to_lowercase();
        FORBIDDEN.iter().any(|word| lower.contains(word))
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_comment_is_wider_than_the_code() {
    let found = lines(|file, line| {
        let is_comment = file.ends_with(".rs") && line.trim_start().starts_with("//");
        is_comment && line.chars().count() > MAX_COLUMNS
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `file:line: text` of each line of a tracked text file that `is_wrong`.
fn lines(is_wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let git = Command::new("git")
        .arg("ls-files")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(git.status.success(), "git ls-files");
    let mut found = Vec::new();
    for file in String::from_utf8(git.stdout).unwrap().lines() {
        // A file that is deleted but still tracked, or that is not text, has no lines.
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| is_wrong(file, line)) {
            found.push(format!("{file}:{}: {}", index + 1, line.trim()));
        }
    }
    found
}
