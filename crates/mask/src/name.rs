//! Names of fields and keys whose values are secrets: `password`, `clientSecret`, `x-api-key`,
//! `access_token`, `customer.phone`.

use crate::clean;

/// Endings of names of secrets.
const SECRET_ENDINGS: [&str; 7] = [
    "token",
    "pwd",
    "cookie",
    "private_key",
    "access_key",
    "cvv",
    "cvc",
];

/// Endings of names of personal numbers. In a text, only digits behind such a name are masked.
const PERSONAL_NUMBER_ENDINGS: [&str; 8] = [
    "phone",
    "phone_number",
    "phonenumber",
    "mobile",
    "msisdn",
    "card_number",
    "cardnumber",
    "card.number",
];

/// The words with this first letter that make the name that contains them one of a secret. Most letters of a
/// name start no word, so a name is searched for all words in one pass.
fn secret_words(first: u8) -> &'static [&'static str] {
    match first.to_ascii_lowercase() {
        b'a' => &["apikey", "api_key", "api-key", "api.key", "authorization"],
        b'c' => &["credential"],
        b'p' => &["password", "passwd", "passphrase"],
        b's' => &["secret"],
        _ => &[],
    }
}

/// Whether the whole value of a field of this name is masked.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let name = name.as_bytes();
    if clean::NAMES.with_borrow(|names| names.contains(name)) {
        return false;
    }
    let is_sensitive = is_secret(name) || is_personal_number(name);
    if !is_sensitive {
        clean::NAMES.with_borrow_mut(|names| names.insert(name));
    }
    is_sensitive
}

pub(crate) fn is_secret(name: &[u8]) -> bool {
    let starts_word = |(index, first): (usize, &u8)| {
        let rest = name.get(index..).unwrap_or_default();
        secret_words(*first).iter().any(|word| {
            rest.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    ends_with_one_of(name, &SECRET_ENDINGS) || name.iter().enumerate().any(starts_word)
}

pub(crate) fn is_personal_number(name: &[u8]) -> bool {
    ends_with_one_of(name, &PERSONAL_NUMBER_ENDINGS)
}

fn ends_with_one_of(name: &[u8], endings: &[&str]) -> bool {
    endings.iter().any(|ending| {
        name.len()
            .checked_sub(ending.len())
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending.as_bytes()))
    })
}
