//! The collector masks what the services mask. Its patterns are Go's, which here run with `regex_lite`: both
//! know ASCII digits, words and boundaries alone.

#[path = "../../../../crates/mask/tests/names/mod.rs"]
mod names;

use regex_lite::Regex;
use serde_json::Value;

use self::names::{OTHERS, SENSITIVE};
use super::{list, read, text, yaml};

/// Texts with a secret, and the secret. The services and the collector mask each.
const CANARIES: &[(&str, &str)] = &[
    ("mail <joe.bloggs+x@mail.example.co.uk>, please", "joe.bloggs"),
    ("card 4242424242424242", "4242424242424242"),
    ("4111-1111-1111-1111 exp 12/29", "1111-1111"),
    ("4111 1111 1111 1111 99.99", "1111 1111"),
    ("amex 3782-822463-10005", "822463"),
    ("+14155552671: busy", "4155552671"),
    ("call +1 (415) 555-2671 now", "555-2671"),
    ("(415) 555-2671", "555-2671"),
    ("at 415.555.2671", "555.2671"),
    ("password=a,b&c", "a,b"),
    ("?token=x1y2&limit=2", "x1y2"),
    ("?next=%2Flogin%3Fpassword%3Dx1y2%26a%3D1", "x1y2"),
    (r#"{"password":"x1y2","id":1}"#, "x1y2"),
    (r#"\"secret\":\"x1y2\",\"id\":1"#, "x1y2"),
    ("Authorization: Bearer abc.def", "abc.def"),
    ("Authorization%3A%20Bearer%20abc1", "abc1"),
    ("Basic dXNlcjpwYXNzdw==, ok", "dXNlcjpwYXNzdw"),
    ("redis://:p@ss1@host:6379/0", "ss1"),
    ("postgres://joe:pw1@host/orders", "pw1"),
    (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "c2lnbmF0dXJl",
    ),
    (concat!("key sk_", "live_4eC39HqLyjWD"), "4eC39HqLyjWD"),
    (concat!("key whsec", "_4eC39HqLyjWD"), "4eC39HqLyjWD"),
    (concat!("key AKIA", "IOSFODNN7EXAMPLE"), "IOSFODNN7EXAMPLE"),
    (
        concat!("key ghp_", "16C7e42F292c6912E7710c838347Ae"),
        "16C7e42F292c6912E7710c838347Ae",
    ),
    (
        concat!("key glpat-", "20charsabcdefghijklm"),
        "20charsabcdefghijklm",
    ),
    (concat!("key xoxb-", "17653672481-19874698323"), "17653672481"),
    (
        concat!("key AIza", "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe"),
        "SyDaGmWKa4JsXZ",
    ),
    (
        concat!("key SG.", "ngeVfQFYQlKU0ufo8x5d1A"),
        "ngeVfQFYQlKU0ufo8x5d1A",
    ),
];
/// What the services mask and no pattern can: digits of other scripts, separators beyond ASCII, what is
/// encoded twice, and base64 that has to be decoded. docs/telemetry.md names them.
const SERVICES_ONLY: &[(&str, &str)] = &[
    ("card ４２４２ ４２４２ ４２４２ ４２４２", "４２４２"),
    ("4242\u{a0}4242\u{a0}4242\u{a0}4242", "4242"),
    ("u=%252Fin%253Ftoken%253Dx1y2%2526b", "x1y2"),
    ("Basic dXNlcjpwYXNzd", "dXNlcjpwYXNzd"),
];
/// Ids, times and addresses stay.
const NO_SECRETS: &[&str] = &[
    "order 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "2026-01-02T03:04:05.678Z",
    "127.0.0.1:5432",
    "1767322860000000000",
    "user@host",
    "Basic authentication failed",
    "token::parse failed",
];
fn config() -> Value {
    yaml(&read("otel-collector-config.yaml"))
}

fn patterns(name: &str) -> Vec<Regex> {
    let config = config();
    let patterns = list(&config["processors"]["redaction"][name]).iter().map(text);
    // `$$` is `$`: the collector replaces variables first.
    let patterns: Vec<_> = patterns
        .map(|it| Regex::new(&it.replace("$$", "$")).unwrap())
        .collect();
    assert!(!patterns.is_empty(), "{name}");
    patterns
}

fn masked(original: &str, patterns: &[Regex]) -> String {
    let mask = |text: String, pattern: &Regex| pattern.replace_all(&text, "****").into_owned();
    patterns.iter().fold(original.to_owned(), mask)
}

#[test]
fn what_the_services_mask_the_collector_masks_too() {
    let patterns = patterns("blocked_values");
    for (canary, secret) in CANARIES.iter().chain(SERVICES_ONLY) {
        assert!(!mask::text(canary).contains(secret), "the services: {canary}");
    }
    for (canary, secret) in CANARIES {
        let masked = masked(canary, &patterns);
        assert!(!masked.contains(secret), "the collector: {canary}: {masked}");
    }
    for (canary, secret) in SERVICES_ONLY {
        let masked = masked(canary, &patterns);
        assert!(
            masked.contains(secret),
            "the collector masks it now: {canary}: {masked}"
        );
    }
    for stays in NO_SECRETS {
        assert_eq!(mask::text(stays), *stays);
        assert_eq!(masked(stays, &patterns), *stays);
    }
}

#[test]
fn the_collector_knows_the_same_names_of_secrets() {
    let patterns = patterns("blocked_key_patterns");
    let is_blocked = |name: &str| patterns.iter().any(|pattern| pattern.is_match(name));
    for (names, sensitive) in [(SENSITIVE, true), (OTHERS, false)] {
        for name in names {
            assert_eq!(is_blocked(name), sensitive, "the collector: {name}");
            assert_eq!(
                mask::field(name, "any", 3) == "[secret]",
                sensitive,
                "the services: {name}"
            );
        }
    }
}

/// `redaction` reads neither names of spans nor their messages.
#[test]
fn names_and_messages_of_spans_are_masked_by_the_most_important_patterns() {
    let config = config();
    let statements = list(&config["processors"]["transform/names"]["trace_statements"]);
    for field in ["span.name", "span.status.message"] {
        let start = format!("replace_pattern({field}, \"");
        let pattern = statements
            .iter()
            .find_map(|it| text(it).strip_prefix(start.as_str()));
        let pattern = pattern.unwrap().strip_suffix("\", \"****\")").unwrap();
        let pattern = [Regex::new(&pattern.replace("\\\\", "\\")).unwrap()];
        let important = [
            "joe.bloggs",
            "4242424242424242",
            "1111-1111",
            "4155552671",
            "abc.def",
            "4eC39",
            "IOSF",
            "16C7",
        ];
        for start in important {
            let (canary, secret) = CANARIES
                .iter()
                .find(|(_, secret)| secret.starts_with(start))
                .unwrap();
            let masked = masked(canary, &pattern);
            assert!(!masked.contains(secret), "{field}: {canary}: {masked}");
        }
    }
}
