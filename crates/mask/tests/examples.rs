//! What the mask makes of texts, fields and numbers, by example.

mod names;

use std::borrow::Cow;

use throughline_mask::{field, float, integer, prefix, text};

use crate::names::{OTHERS, SENSITIVE};

#[test]
fn each_rule_masks_its_secrets_and_nothing_else() {
    for (original, masked) in [
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
        ("Basic dXNlcjpwYXNzdw==, ok", "Basic [token], ok"),
        ("Basic dXNlcjpwYXNzdw==x", "Basic [token]"),
        ("Basic dXNlcjpwYXNzd", "Basic [token]"),
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
        assert_eq!(text(original), masked);
    }
}

#[test]
fn a_number_is_found_whatever_separates_its_groups_and_in_any_digits() {
    for separator in [
        "\t",
        "  ",
        " - ",
        "\u{a0}",
        "\u{202f}",
        "\u{2007}",
        "\u{2011}",
        "\u{2013}",
        "\u{3000}",
        "%2D",
        "%20",
        "%09",
        "%252D",
        "%25252D",
        "%252520",
        "%C2%A0",
        "%25C2%25A0",
        "%E2%80%91",
    ] {
        let card = ["4242"; 4].join(separator);
        assert_eq!(text(&format!("card {card} x")), "card [card] x", "{card}");
        let phone = ["415", "555", "2671"].join(separator);
        let masked = text(&phone).into_owned();
        let is_one = !["  ", " - ", "\t"].contains(&separator);
        assert_eq!(masked == "[phone]", is_one, "{phone}");
        if is_one {
            let international = format!("+44{separator}20{separator}79460958");
            assert_eq!(text(&international), "[phone]", "{international}");
        }
    }
    for (original, masked) in [
        ("４２４２４２４２４２４２４２４２", "[card]"),
        (
            "card ４２４２ ４２４２ ４２４２ ４２４２, paid",
            "card [card], paid",
        ),
        ("٤٢٤٢-٤٢٤٢-٤٢٤٢-٤٢٤٢", "[card]"),
        ("𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐", "[card]"),
        ("call +４４ ２０ ７９４６ ０９５８", "call [phone]"),
        ("０２０ ７９４６ ０９５８", "[phone]"),
        (
            "４２４２４２４２４２４２４２４３",
            "４２４２４２４２４２４２４２４３",
        ),
        ("größer als ４２", "größer als ４２"),
    ] {
        assert_eq!(text(original), masked);
    }
}

#[test]
fn a_field_with_a_sensitive_name_is_masked_as_a_whole() {
    for name in SENSITIVE {
        assert_eq!(field(name, "any", 3), "[secret]", "{name}");
        assert_eq!(integer(name, 7), Some("[secret]"), "{name}");
        assert_eq!(float(name, 0.5), Some("[secret]"), "{name}");
    }
    for name in OTHERS {
        assert_eq!(field(name, "any", 3), "any", "{name}");
        assert_eq!(integer(name, 7), None, "{name}");
        assert_eq!(float(name, 0.5), None, "{name}");
    }
}

#[test]
fn a_card_number_is_masked_as_a_number_too_and_a_time_is_not() {
    assert_eq!(integer("n", 4_111_111_111_111_111_u64), Some("[card]"));
    assert_eq!(float("n", 4_111_111_111_111_111.0), Some("[card]"));
    assert_eq!(integer("n", 4_111_111_111_111_112_u64), None);
    assert_eq!(integer("n", 1_767_322_860_000_000_000_i64), None);
    assert_eq!(integer("n", -1), None);
}

#[test]
fn a_text_is_cut_at_a_whole_character_and_not_within_a_replacement() {
    assert_eq!(prefix("größer", 3), "gr");
    assert_eq!(prefix("mail joe@example.com now", 8), "mail [email]");
    assert!(matches!(prefix("clean text", 5), Cow::Borrowed("clean")));
}
