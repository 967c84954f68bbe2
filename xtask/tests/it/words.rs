//! The project's language: plain words, and comments that fit a window. CONTRIBUTING.md has the glossary.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Words that hide who does something, or what happens.
const FORBIDDEN: [&str; 11] = [
    "whoever",
    "nobody",
    "somebody",
    "anew",
    "oftener",
    "in vain",
    "takes leave",
    "had better",
    "is away",
    "are away",
    "of no more use",
];
const MAX_COLUMNS: usize = 110;

/// Paths below which a forbidden word is still used.
const STILL_FORBIDDEN: &[&str] = &["crates/api/", "docs/"];
/// Paths below which a comment is still too wide.
const STILL_WIDE: &[&str] = &["crates/api/", "crates/dispatch/", "crates/service/"];

#[test]
fn no_file_uses_a_forbidden_word() {
    let this_file = "xtask/tests/it/words.rs";
    let found = lines(|file, line| {
        // `nobody` is a Unix user as well.
        let lower = line.to_lowercase().replace("\"nobody\"", "");
        file != this_file && FORBIDDEN.iter().any(|word| lower.contains(word))
    });
    assert_only_below(STILL_FORBIDDEN, &found);
}

#[test]
fn no_comment_is_wider_than_the_code() {
    let found = lines(|file, line| {
        let is_comment = file.ends_with(".rs") && line.trim_start().starts_with("//");
        is_comment && line.chars().count() > MAX_COLUMNS
    });
    assert_only_below(STILL_WIDE, &found);
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

#[track_caller]
fn assert_only_below(listed: &[&str], found: &[String]) {
    for path in listed {
        assert!(
            found.iter().any(|line| line.starts_with(path)),
            "nothing is found below {path} any more: take it off the list"
        );
    }
    let new: Vec<_> = found
        .iter()
        .filter(|line| !listed.iter().any(|path| line.starts_with(path)))
        .map(String::as_str)
        .collect();
    assert!(new.is_empty(), "{}", new.join("\n"));
}
