//! Names of fields and keys whose values are secrets: `password`, `clientSecret`, `x-api-key`,
//! `access_token`, `customer.phone`.

use crate::clean;

/// Endings of names of secrets with this last letter. Most names have another one.
fn secret_endings(last: u8) -> &'static [&'static str] {
    match last.to_ascii_lowercase() {
        b'n' => &["token"],
        b'd' => &["pwd"],
        b'e' => &["cookie", "passcode"],
        b'y' => &["private_key", "access_key"],
        b'v' => &["cvv"],
        b'c' => &["cvc"],
        b't' => &["jwt"],
        _ => &[],
    }
}

/// The same that are also endings of other words, such as `pin` of `spin`: they count as whole
/// words only, as in `user.pin`, `userPin` and `PIN`.
fn secret_last_words(last: u8) -> &'static [&'static str] {
    match last.to_ascii_lowercase() {
        b'd' => &["sid"],
        b'n' => &["session", "pin", "ssn", "iban"],
        b'p' => &["otp"],
        _ => &[],
    }
}

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
    let last = name.last().copied().unwrap_or_default();
    let ends_with_word = secret_last_words(last)
        .iter()
        .any(|word| ends_with_one_of(name, &[word]) && is_whole_word(name, word.len()));
    ends_with_word || ends_with_one_of(name, secret_endings(last)) || name.iter().enumerate().any(starts_word)
}

pub(crate) fn is_personal_number(name: &[u8]) -> bool {
    ends_with_one_of(name, &PERSONAL_NUMBER_ENDINGS)
}

/// Whether the last `length` letters are a word of their own, also in camel case.
fn is_whole_word(name: &[u8], length: usize) -> bool {
    let Some((before, word)) = name.split_at_checked(name.len().saturating_sub(length)) else {
        return false;
    };
    match (before.last(), word.first()) {
        (Some(before), Some(first)) => {
            !before.is_ascii_alphanumeric() || (before.is_ascii_lowercase() && first.is_ascii_uppercase())
        }
        _ => true,
    }
}

fn ends_with_one_of(name: &[u8], endings: &[&str]) -> bool {
    endings.iter().any(|ending| {
        name.len()
            .checked_sub(ending.len())
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending.as_bytes()))
    })
}
