//! Properties of masking, with generated texts: no secret survives, and everything else does.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use throughline_mask::{prefix, text};

/// A text, and the secret in it that must not survive.
#[derive(Debug, Clone)]
struct Leak {
    text: String,
    secret: String,
}

impl Leak {
    fn of(secret: String) -> Self {
        Self {
            text: secret.clone(),
            secret,
        }
    }

    /// Whether the secret is in the masked text. A number is, if its digits are, whatever their separators.
    fn is_in(&self, shown: &str) -> bool {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        let number = self
            .secret
            .chars()
            .all(|c| c.is_ascii_digit() || " +-.()%_\t\u{a0}\u{2011}".contains(c));
        shown.contains(&self.secret) || (number && digits(shown).contains(&digits(&self.secret)))
    }
}

fn email() -> impl Strategy<Value = Leak> {
    let local = "[a-zA-Z0-9]([a-zA-Z0-9._%+-]{0,20}[a-zA-Z0-9])?";
    let domain = "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z0-9]{1,8}){0,2}\\.[a-z]{2,6}";
    let sign = prop_oneof![Just("@"), Just("%40")];
    (local, sign, domain).prop_map(|(local, sign, domain)| Leak::of(format!("{local}{sign}{domain}")))
}

fn phone() -> impl Strategy<Value = Leak> {
    prop_oneof![
        // International, bare and grouped.
        "\\+[1-9][0-9]{7,14}",
        "\\+1 \\([2-9][0-9]{2}\\) [2-9][0-9]{2}-[0-9]{4}",
        "\\+1[-. ][2-9][0-9]{2}[-. ][2-9][0-9]{2}[-. ][0-9]{4}".prop_filter(
            "one kind of separator",
            |phone: &String| {
                let dots = phone.matches('.').count();
                dots == 0 || dots == 3
            }
        ),
        "\\+44 20 [0-9]{4} [0-9]{4}",
        "\\+33 [1-9]( [0-9]{2}){4}",
        "%2B49[1-9][0-9]{8,10}",
        // National.
        "\\([2-9][0-9]{2}\\) ?[2-9][0-9]{2}-[0-9]{4}",
        "[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}",
        "[2-9][0-9]{2}\\.[2-9][0-9]{2}\\.[0-9]{4}",
        "0[1-9]( [0-9]{2}){4}",
        "020 [0-9]{4} [0-9]{4}",
    ]
    .prop_map(Leak::of)
}

fn card() -> impl Strategy<Value = Leak> {
    let printed = |sizes: &'static [usize], separator: &'static str| {
        let digits: usize = sizes.iter().sum();
        number(digits).prop_map(move |number| {
            let mut rest = number.as_str();
            let groups: Vec<&str> = sizes
                .iter()
                .map(|size| {
                    let (group, tail) = rest.split_at(*size);
                    rest = tail;
                    group
                })
                .collect();
            groups.join(separator)
        })
    };
    prop_oneof![
        (13_usize..=19).prop_flat_map(number),
        printed(&[4, 4, 4, 4], "_"),
        printed(&[4, 4, 4, 4], " "),
        printed(&[4, 4, 4, 4], "-"),
        printed(&[4, 4, 4, 4], "+"),
        printed(&[4, 4, 4, 4], "%20"),
        printed(&[4, 6, 5], " "),
        printed(&[4, 6, 4], "-"),
        printed(&[4, 4, 4, 4, 3], " "),
        printed(&[4, 4, 4, 4], "\t"),
        printed(&[4, 4, 4, 4], "  "),
        printed(&[4, 4, 4, 4], "\u{a0}"),
        printed(&[4, 6, 5], "\u{2011}"),
        printed(&[4, 4, 4, 4], "%2D"),
        printed(&[4, 4, 4, 4], "%252D"),
        printed(&[4, 6, 5], "%C2%A0"),
        (13_usize..=19)
            .prop_flat_map(number)
            .prop_map(|number| in_full_width(&number)),
    ]
    .prop_map(Leak::of)
}

fn in_full_width(number: &str) -> String {
    let wide = |digit: char| {
        digit
            .to_digit(10)
            .and_then(|digit| char::from_u32(0xff10 + digit))
    };
    number.chars().filter_map(wide).collect()
}

/// So many digits that are right by Luhn's formula.
fn number(digits: usize) -> impl Strategy<Value = String> {
    let random = prop::collection::vec(0_u32..10, digits - 3);
    // A 2 begins the numbers of Mastercard and Mir, which have 16 digits or more.
    let start = (3_u32..=6, 0_u32..10);
    let start = match digits {
        16.. => prop_oneof![start, (Just(2), 2_u32..=7)].boxed(),
        _ => start.boxed(),
    };
    (start, random).prop_map(|((first, second), rest)| {
        let mut number: Vec<u32> = [first, second].into_iter().chain(rest).collect();
        let sum: u32 = number
            .iter()
            .rev()
            .enumerate()
            .map(|(index, digit)| match (index % 2, digit * 2) {
                (0, doubled) if doubled > 9 => doubled - 9,
                (0, doubled) => doubled,
                _ => *digit,
            })
            .sum();
        number.push((10 - sum % 10) % 10);
        number.iter().map(u32::to_string).collect()
    })
}

fn token() -> impl Strategy<Value = Leak> {
    let bearer = "[A-Za-z0-9._~+/-]{1,40}=?".prop_map(|secret| Leak {
        text: format!("Bearer {secret}"),
        secret,
    });
    let issued = prop_oneof![
        "sk_(live|test)_[A-Za-z0-9]{8,40}",
        "whsec_[A-Za-z0-9]{16,40}",
        "ghp_[A-Za-z0-9]{36}",
        "xoxb-[0-9]{10,12}-[A-Za-z0-9]{24}",
        "AKIA[A-Z2-7]{16}",
        "sk-[A-Za-z0-9]{20,48}",
        "eyJ[A-Za-z0-9_-]{16,40}\\.[A-Za-z0-9_-]{16,40}\\.[A-Za-z0-9_-]{16,40}",
    ]
    .prop_map(Leak::of);
    prop_oneof![
        bearer.prop_filter("long enough to differ from the text", |leak| leak.secret.len()
            > 3),
        issued,
        basic(),
    ]
}

/// `Basic` and user and password in base64.
fn basic() -> impl Strategy<Value = Leak> {
    ("[a-z]{1,12}", "[!-~]{5,20}").prop_map(|(user, password)| {
        let secret = STANDARD.encode(format!("{user}:{password}"));
        Leak {
            text: format!("Basic {secret}"),
            secret,
        }
    })
}

/// What `encodeURIComponent` encodes, near enough.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A secret behind a sign that is percent-encoded, once or twice.
fn encoded() -> impl Strategy<Value = Leak> {
    let word = "[A-Za-z0-9]{6,20}";
    let before = prop_oneof![
        Just("password="),
        Just("access_token="),
        Just("Authorization: Bearer "),
        Just("{\"client_secret\":\""),
        Just("/login?api_key="),
        Just("postgres://app:"),
        Just("phone="),
    ];
    let after = prop_oneof![Just("&limit=1"), Just("\"}"), Just(" then")];
    let number = "[1-9][0-9]{9}";
    (before, word, number, after, 1..=2).prop_map(|(before, word, number, after, times)| {
        let (secret, after) = match before {
            "phone=" => (number, after),
            "postgres://app:" => (word, "@db/shop"),
            _ => (word, after),
        };
        let encode = |text: String, _| utf8_percent_encode(&text, COMPONENT).to_string();
        let text = format!("{before}{secret}{after}");
        Leak {
            text: (0..times).fold(text, encode),
            secret,
        }
    })
}

fn password() -> impl Strategy<Value = Leak> {
    let key = prop_oneof![
        Just("password"),
        Just("PASSWORD"),
        Just("user.passwd"),
        Just("client_secret"),
        Just("clientSecret"),
        Just("api_key"),
        Just("x-api-key"),
        Just("access_token"),
        Just("db_pwd"),
    ];
    let unquoted = "[!-~&&[^\"'\\\\\\[]]{6,20}".prop_filter("one value", |secret: &String| {
        // A closing bracket, a quote or a separator at the end can belong to the text around the value.
        !secret.ends_with([')', '}', ']', ',', ';', '&'])
            && !secret.starts_with(['=', '>', '+'])
            && !secret.contains(['=', ':', '@'])
    });
    let quoted = "[ -~&&[^\"\\\\]]{6,20}";
    prop_oneof![
        (key.clone(), unquoted).prop_map(|(key, secret)| Leak {
            text: format!("{key}={secret}"),
            secret,
        }),
        (key.clone(), unquoted_word()).prop_map(|(key, secret)| Leak {
            text: format!("{key}: {secret}"),
            secret,
        }),
        (key.clone(), quoted).prop_map(|(key, secret)| Leak {
            text: format!("{{\"id\":1,\"{key}\":\"{secret}\"}}"),
            secret,
        }),
        (key, quoted).prop_map(|(key, secret)| Leak {
            text: format!("{key} = \"{secret}\""),
            secret,
        }),
        unquoted_word().prop_map(|secret| Leak {
            text: format!("postgres://app:{secret}@db.internal:5432/shop"),
            secret,
        }),
        "[A-Za-z0-9+/]{8,40}=".prop_map(|secret| Leak {
            text: format!("Authorization: Basic {secret}"),
            secret,
        }),
    ]
    .prop_filter("not a part of the text around it", |leak| {
        leak.secret.chars().filter(char::is_ascii_alphanumeric).count() > 4
    })
}

fn unquoted_word() -> &'static str {
    "[A-Za-z0-9!#$%^*_~-]{6,20}"
}

fn leak() -> impl Strategy<Value = Leak> {
    prop_oneof![email(), phone(), card(), token(), password(), encoded()]
}

/// The text by itself, and where texts come from.
fn anywhere() -> impl Strategy<Value = Leak> {
    let around = prop_oneof![
        Just(("", "")),
        Just(("sent to ", " just now")),
        Just(("(", ")")),
        Just(("_", "_")),
        Just(("value=\"", "\"")),
        Just(("/find?q=", "&limit=20")),
        Just(("order 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b: ", "\nnext line")),
        Just(("größer: ", " – für alle")),
    ];
    let among_letters = prop_oneof![
        Just(("Visa", "")),
        Just(("card_", "_exp")),
        Just(("", "x")),
        Just(("nr", "and")),
    ];
    let within = |((before, after), leak): ((&str, &str), Leak)| Leak {
        text: format!("{before}{}{after}", leak.text),
        ..leak
    };
    prop_oneof![
        8 => (around, leak()).prop_map(within),
        1 => (among_letters, card()).prop_map(within),
    ]
}

/// What must stay as it is.
fn clean() -> impl Strategy<Value = String> {
    let has_letter = |text: &String| text.contains(|c: char| c.is_ascii_alphabetic());
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[0-9]{8}-[0-9]{4}-7[0-9]{3}-8[0-9]{3}-[0-9]{12}",
        "[0-9a-f]{16}".prop_filter("not a number", has_letter),
        "[0-9a-f]{32}".prop_filter("not a number", has_letter),
        "00-[0-9a-f]{32}-[0-9a-f]{16}-01",
        "(0|[1-9][0-9]{0,7})\\.[0-9]{2}",
        "[1-9][0-9]{0,9}",
        "(order_)?[0-9a-f]{24}".prop_filter("not a number", has_letter),
        "0x[0-9a-f]{13,16}",
        "[0-9a-f]{7,40}[a-f]",
        "(pi|req|cus)_[0-9A-Za-z]{24}",
        "(backup_|T)?20[0-9]{2}(0[1-9]|1[0-2])[0-2][0-9][0-2][0-9][0-5][0-9][0-5][0-9]([0-9]{3})?",
        "(took |~)[1-9][0-9]{0,11}(ns|us|ms)",
        "basic (usage|authentication|auth|plan|tier)",
        "20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{3,9})?(Z|[+-]0[0-9]:00)",
        "20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}\\+00",
        "1[0-9]{9}([0-9]{3}){0,3}",
        "(25[0-5]|1[0-9]{2}|[1-9][0-9]?)(\\.(25[0-5]|1[0-9]{2}|[1-9]?[0-9])){3}(:[1-9][0-9]{1,4})?",
        "(\\[[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}\\]|localhost):[1-9][0-9]{1,4}",
        "0\\.[0-9]{1,17}",
        "GET /api/orders/\\{id\\}",
        "INSERT INTO orders \\(id, amount\\) VALUES \\(\\$1, \\$2\\) ON CONFLICT \\(id\\) DO NOTHING",
        "Mozilla/5\\.0 \\(X11; Linux x86_64; rv:1[0-9]{2}\\.0\\) Gecko/20100101 Firefox/1[0-9]{2}\\.0",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_secret_survives_in_a_text(leak in anywhere()) {
        let masked = text(&leak.text);
        prop_assert!(!leak.is_in(&masked), "{}", masked);
        prop_assert_eq!(text(&masked), masked.clone(), "masked once is masked for good");
    }

    #[test]
    fn ids_amounts_times_and_addresses_survive(
        parts in prop::collection::vec(clean(), 1..4),
        between in prop_oneof![Just(", "), Just(" for "), Just("; "), Just("&a=")],
    ) {
        let joined = parts.join(between);
        prop_assert!(matches!(text(&joined), Cow::Borrowed(_)), "{}", text(&joined));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_cut_shows_no_more_than_the_whole_text_would(leak in anywhere(), most in 0_usize..120) {
        let shown = prefix(&leak.text, most);
        prop_assert!(!leak.is_in(&shown), "{}", shown);
        let whole = text(&leak.text);
        let same = shown.bytes().zip(whole.bytes()).take_while(|(one, other)| one == other).count();
        prop_assert_eq!(same, shown.len(), "{} is no start of {}", shown, whole);
    }
}
