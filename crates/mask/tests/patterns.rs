//! Optional patterns, in a process of their own: they are added once.

use throughline_mask::{IBAN, NATIONAL_ID, Pattern, TooLate, add_patterns, field, prefix, text};

const MEMBER: Pattern = Pattern {
    replacement: "[member]",
    find: |text| text.find("M-17").map(|start| start..start + 4),
};

#[test]
fn patterns_are_masked_beside_the_rules() {
    add_patterns(&[IBAN, NATIONAL_ID, MEMBER]).unwrap();
    for (original, masked) in [
        (
            "from DE89370400440532013000 to joe@example.com",
            "from [iban] to [email]",
        ),
        ("DE89 3704 0044 0532 0130 00 and more", "[iban] and more"),
        ("DE89 3704 0044 0532 0130 00", "[iban]"),
        ("GB82 WEST 1234 5698 7654 32.", "[iban]."),
        ("NO9386011117947", "[iban]"),
        ("(MT84MALT011000012345MTLCAST001S)", "([iban])"),
        ("DE88370400440532013000", "DE88370400440532013000"),
        ("XDE89370400440532013000", "XDE89370400440532013000"),
        ("ssn is 123-45-6789, id AB123456C", "ssn is [id], id [id]"),
        ("AB 12 34 56 C", "[id]"),
        (
            "666-12-3456 912-34-5678 123-00-4567",
            "666-12-3456 912-34-5678 123-00-4567",
        ),
        ("DNI 12345678Z, NIE X1234567L", "DNI [id], NIE [id]"),
        ("12345678A", "12345678A"),
        ("M-17 M-17, M-18", "[member] [member], M-18"),
        ("password=M-17", "password=[secret]"),
        (
            "order 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
            "order 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        ),
    ] {
        assert_eq!(text(original), masked);
    }
    assert_eq!(field("note", "of M-17", 100), "of [member]");
    assert_eq!(prefix("of M-17 and", 5), "of [member]");
    assert_eq!(add_patterns(&[]), Err(TooLate));
}
