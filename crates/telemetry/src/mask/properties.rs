//! Properties of masking: whatever is generated, no secret survives in any field, and what is no secret does.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::scan::LOOKS;
use super::{Masked, RecordLimits, log_record, span, start_of, text};

/// A text with a secret, and what of it must not survive.
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

    /// Neither the secret itself nor, of a number, its digits without what stands between them.
    fn is_in(&self, shown: &str) -> bool {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        let number = self
            .secret
            .chars()
            .all(|c| c.is_ascii_digit() || " +-.()%_".contains(c));
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
    ]
    .prop_map(Leak::of)
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
        bearer.prop_filter("long enough to be told from the text", |leak| leak.secret.len()
            > 3),
        issued,
        basic(),
    ]
}

/// `Basic` and user and password in base64.
fn basic() -> impl Strategy<Value = Leak> {
    ("[a-z]{1,12}", "[!-~]{5,20}").prop_map(|(user, password)| {
        let secret = base64(format!("{user}:{password}").as_bytes());
        Leak {
            text: format!("Basic {secret}"),
            secret,
        }
    })
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| -> String {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | three.get(at).copied().map_or(0, usize::from)
        });
        let character = |at: usize| match at > three.len() {
            true => '=',
            false => char::from(ALPHABET[bits >> (18 - 6 * at) & 63]),
        };
        (0..4).map(character).collect()
    };
    bytes.chunks(3).map(four).collect()
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
        // What a closing bracket, a quote or a separator at the end belongs to cannot be told.
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
    fn no_secret_survives_in_any_field_of_a_span(leak in anywhere()) {
        let said = leak.text.clone();
        let mut data = span_of(&said);
        span(&mut data, None);
        let shown = format!("{data:?}");
        prop_assert!(!leak.is_in(&shown), "{}", shown);
    }

    #[test]
    fn no_secret_survives_in_any_field_of_a_log_record(leak in anywhere()) {
        let logger = SdkLoggerProvider::builder().build().logger("test");
        let mut record = logger.create_log_record();
        record.set_body(leak.text.clone().into());
        record.add_attribute("text", leak.text.clone());
        record.add_attribute("list", AnyValue::ListAny(Box::new(vec![leak.text.clone().into()])));
        let map = [("inner".into(), AnyValue::from(leak.text.clone()))].into();
        record.add_attribute("map", AnyValue::Map(Box::new(map)));
        record.add_attribute("kept", 7_i64);
        let Masked::Instead(masked) = log_record(&record, RecordLimits::NONE) else {
            return Err(TestCaseError::fail("not masked"));
        };
        let shown = format!("{masked:?}");
        prop_assert!(!leak.is_in(&shown), "{}", shown);
        prop_assert_eq!(masked.attributes_iter().count(), 4);
    }

    #[test]
    fn a_field_whose_name_says_that_it_is_secret_is_hidden(secret in "[a-z]{8}", number in 100_i64..9_999_999_999) {
        let number_as_double = f64::from(i32::try_from(number % 1_000_000_007).unwrap_or_default());
        let mut data = span_of("");
        data.attributes = vec![
            KeyValue::new("user.password", secret.clone()),
            KeyValue::new("customer.phone", secret.clone()),
            KeyValue::new("customer.mobile", number),
            KeyValue::new("cvv", Value::Array(Array::I64(vec![number]))),
            KeyValue::new("card.number", number_as_double),
            KeyValue::new("http.request.header.authorization", Value::Array(Array::String(vec![secret.clone().into()]))),
        ];
        span(&mut data, None);
        let shown = format!("{data:?}");
        prop_assert!(!shown.contains(&secret), "{}", shown);
        prop_assert!(data.attributes.iter().all(|it| it.value.to_string().contains("[secret]")), "{}", shown);
    }

    #[test]
    fn a_cut_shows_no_more_than_the_whole_text_would(leak in anywhere(), most in 0_usize..120) {
        let shown = start_of(&leak.text, most);
        prop_assert!(!leak.is_in(&shown), "{}", shown);
        let whole = text(&leak.text);
        let same = shown.bytes().zip(whole.bytes()).take_while(|(one, other)| one == other).count();
        prop_assert_eq!(same, shown.len(), "{} is no start of {}", shown, whole);
    }
}

fn span_of(said: &str) -> SpanData {
    let said = || said.to_owned();
    let mut events = SpanEvents::default();
    let attribute = || vec![KeyValue::new("text", said())];
    let event = Event::new(said(), SystemTime::UNIX_EPOCH, attribute(), 0);
    events.events.push(event);
    let mut links = SpanLinks::default();
    links.links.push(Link::new(SpanContext::NONE, attribute(), 0));
    let list = Value::Array(Array::String(vec![said().into()]));
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: said().into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: vec![KeyValue::new("text", said()), KeyValue::new("list", list)],
        dropped_attributes_count: 0,
        events,
        links,
        status: Status::error(said()),
        instrumentation_scope: InstrumentationScope::default(),
    }
}

#[test]
fn a_card_number_as_a_whole_number_is_masked_and_a_time_is_not() {
    let mut data = span_of("");
    data.attributes = vec![
        KeyValue::new("card", 4_111_111_111_111_111_i64),
        KeyValue::new("as double", 4_111_111_111_111_111_f64),
        KeyValue::new("listed", Value::Array(Array::I64(vec![7, 4_111_111_111_111_111]))),
        KeyValue::new("nanoseconds", 1_767_322_860_000_000_000_i64),
        KeyValue::new("share", 0.5),
    ];
    span(&mut data, None);
    let values: Vec<_> = data.attributes.iter().map(|it| it.value.to_string()).collect();
    assert_eq!(
        values,
        [
            "[card]",
            "[card]",
            "[\"7\",\"[card]\"]",
            "1767322860000000000",
            "0.5"
        ]
    );
}

#[test]
fn a_long_text_is_cut_at_a_whole_character() {
    let mut data = span_of("");
    data.attributes = vec![KeyValue::new("text", "größer")];
    span(&mut data, Some(4));
    assert_eq!(
        data.attributes.first().map(|it| it.value.to_string()),
        Some("größ".to_owned())
    );
}

#[test]
fn a_trace_state_that_is_not_clean_does_not_leave() {
    let of = |state: &str| {
        let (trace, span) = (TraceId::from(1), SpanId::from(1));
        let state = state.parse().unwrap();
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state)
    };
    for (state, kept) in [
        ("vendor=7,other=abc", true),
        ("vendor=joe@example.com,other=abc", false),
    ] {
        let mut data = span_of("");
        data.span_context = of(state);
        data.links.links = vec![Link::new(of(state), Vec::new(), 0)];
        span(&mut data, None);
        for context in [&data.span_context, &data.links.links[0].span_context] {
            assert_eq!(context.trace_state().header(), if kept { state } else { "" });
            assert!(context.is_valid() && context.is_sampled() && context.is_remote());
        }
    }
}

/// What a caller may write into a path, so that each rule begins again and again and finds nothing.
const HOSTILE: &[&str] = &[
    "@",
    "/@",
    "a@",
    "\"@",
    "a@b.",
    "%40",
    "%2540",
    "%40a.",
    "eyJ-",
    "eyJ.",
    "e",
    "sk-",
    "Basic ",
    "Bearer ",
    "Bearer \n",
    "://",
    "://a",
    "https%3A%2F%2F",
    "a:b",
    "password",
    "password=",
    "password:\n",
    "password%3D",
    "password%3D%20",
    "secret=\n)))",
    ")",
    "=",
    "%22%3D",
    "\"'=",
    "phone=",
    "phone%3D1",
    "phone=1 ",
    "+",
    "+1",
    "+1(",
    "(",
    "(415",
    "1 ",
    "1-",
    "41",
    "4111 ",
    "a4111_",
    "4a",
    "%20",
    "%25",
    "é@",
    "é",
];

#[test]
fn the_work_grows_with_the_text_and_no_faster() {
    let looks = |text: &str| {
        let before = LOOKS.get();
        super::text(text);
        LOOKS.get() - before
    };
    for part in HOSTILE {
        for (start, end) in [
            ("", ""),
            ("secret=", " x"),
            ("secret=", "x"),
            ("https://", "x"),
            ("eyJ", ""),
        ] {
            let text = format!("{start}{}{end}", part.repeat((64 << 10) / part.len()));
            let each = looks(&text) / text.len();
            assert!(each <= 64, "`{start}{part}...{end}`: {each} looks a byte");
        }
    }
}

#[test]
fn a_clean_log_record_is_not_written_again() {
    let logger = SdkLoggerProvider::builder().build().logger("test");
    let mut record = logger.create_log_record();
    record.set_body("order was completed".into());
    record.add_attribute("order.id", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b");
    assert!(matches!(
        log_record(&record, RecordLimits::NONE),
        Masked::Unchanged
    ));
}

#[test]
fn what_is_masked_reads_as_before() {
    for (said, shown) in [
        ("joe@example.com", "[email]"),
        (
            "mail <joe.bloggs+x@mail.example.co.uk>, please",
            "mail <[email]>, please",
        ),
        ("image@1.2.3 user@host", "image@1.2.3 user@host"),
        ("call +1 (415) 555-2671 now", "call [phone] now"),
        ("+14155552671: busy", "[phone]: busy"),
        ("(415) 555-2671", "[phone]"),
        ("phone: 4155552671, limit=20", "phone: [phone], limit=20"),
        ("4111-1111-1111-1111 exp 12/29", "[card] exp 12/29"),
        ("4111 1111 1111 1111 99.99", "[card] 99.99"),
        ("4111111111111112", "4111111111111112"),
        ("password=a,b&c, user=joe", "password=[secret], user=joe"),
        ("?token=x&limit=2", "?token=[secret]&limit=2"),
        (
            r#"{"password":"a\"b","id":1}"#,
            r#"{"password":"[secret]","id":1}"#,
        ),
        (
            r#"\"secret\":\"x\",\"id\":1"#,
            r#"\"secret\":\"[secret]\",\"id\":1"#,
        ),
        ("Password { value: 1 }", "Password { value: 1 }"),
        ("token::parse failed", "token::parse failed"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
        ("bearer abc", "bearer [token]"),
        ("Basic dXNlcjpwYXNz, ok", "Basic [token], ok"),
        ("Basic authentication failed", "Basic authentication failed"),
        ("Visa4111111111111111", "Visa[card]"),
        ("4111_1111_1111_1111_x", "[card]_x"),
        ("0x4111111111111111", "0x4111111111111111"),
        (
            "?next=%2Flogin%3Fpassword%3Dx%26a%3D1&b=2",
            "?next=%2Flogin%3Fpassword%3D[secret]%26a%3D1&b=2",
        ),
        (
            "Authorization%3A%20Bearer%20abc",
            "Authorization%3A%20Bearer%20[secret]",
        ),
        (
            "a=%22access_token%22%3A%22abc%22%7D",
            "a=%22access_token%22%3A%22[secret]%22%7D",
        ),
        (
            "u=%252Fin%253Ftoken%253Da%2526b%253D1",
            "u=%252Fin%253Ftoken%253D[secret]%2526b%253D1",
        ),
        (
            "to=https%3A%2F%2Fjoe%3Apw%40host%2Fa",
            "to=https%3A%2F%2F[secret]%40host%2Fa",
        ),
        ("q=100%25%20of%20a%3D1", "q=100%25%20of%20a%3D1"),
        ("redis://:p@ss@host:6379/0", "redis://[secret]@host:6379/0"),
        (
            "https://REDACTED:REDACTED@host/?sig=REDACTED",
            "https://REDACTED:REDACTED@host/?sig=REDACTED",
        ),
    ] {
        assert_eq!(text(said), shown);
    }
}

#[test]
fn a_log_record_has_no_more_attributes_than_it_may() {
    let logger = SdkLoggerProvider::builder().build().logger("test");
    let mut record = logger.create_log_record();
    record.set_body("order was completed".into());
    for name in ["a", "b", "c"] {
        record.add_attribute(name, 1);
    }
    let at_most = |attributes| {
        let limits = RecordLimits {
            attributes,
            ..RecordLimits::NONE
        };
        match log_record(&record, limits) {
            Masked::Unchanged => record.attributes_iter().count(),
            Masked::Instead(shorter) => shorter.attributes_iter().count(),
        }
    };
    assert_eq!([0, 2, 3, 4].map(at_most), [0, 2, 3, 3]);
}
