//! Runs every target on its corpus, and on what a few simple changes make of each seed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use throughline_fuzz::TARGETS;

/// At most this many places of a seed are changed.
const CHANGES: usize = 256;

#[test]
fn every_seed_and_its_neighbours_pass() {
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut seeds = 0;
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let seed = std::fs::read(entry.unwrap().path()).unwrap();
            target(&seed);
            for at in (0..seed.len()).step_by(seed.len() / CHANGES + 1) {
                target(&seed[..at]);
                for byte in [0, b'"', 0x7f, 0x80, 0xff] {
                    let mut changed = seed.clone();
                    changed[at] = byte;
                    target(&changed);
                }
                target(&[&seed[..at], &seed[at..], &seed[at..]].concat());
            }
            seeds += 1;
        }
        assert!(seeds >= 4, "{name} has {seeds} seeds");
    }
}

#[test]
fn every_corpus_has_a_target() {
    let corpora = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")).unwrap();
    for corpus in corpora {
        let name = corpus.unwrap().file_name();
        assert!(TARGETS.iter().any(|(target, _)| name == *target), "{name:?}");
    }
}
