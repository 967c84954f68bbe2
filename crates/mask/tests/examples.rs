//! What the mask makes of texts, fields and numbers, by example.

use throughline_mask::text;

#[test]
fn what_is_masked_reads_as_before() {
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
