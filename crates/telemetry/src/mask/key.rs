//! Names that say that their value is a secret: `password`, `clientSecret`, `x-api-key`, `access_token`, `customer.phone`.

use std::ops::Not;

/// What a name contains, or ends with; and the same for the letters of it, which is looked at first.
const ANYWHERE: &[Word] = &[
    Word::new("password"),
    Word::new("passwd"),
    Word::new("secret"),
    Word::new("apikey"),
    Word::new("api_key"),
    Word::new("api-key"),
    Word::new("api.key"),
    Word::new("authorization"),
    Word::new("credential"),
    Word::new("passphrase"),
];
const AT_THE_END: &[Word] = &[
    Word::new("token"),
    Word::new("pwd"),
    Word::new("cookie"),
    Word::new("private_key"),
    Word::new("access_key"),
    Word::new("cvv"),
    Word::new("cvc"),
];
/// Names of personal numbers; in prose only digits behind them are masked.
const NUMBERS: &[Word] = &[
    Word::new("phone"),
    Word::new("phone_number"),
    Word::new("phonenumber"),
    Word::new("mobile"),
    Word::new("msisdn"),
    Word::new("card_number"),
    Word::new("cardnumber"),
    Word::new("card.number"),
];

/// A word in lower case, and which letters it has.
#[derive(Debug, Clone, Copy)]
struct Word {
    text: &'static str,
    letters: u32,
}

impl Word {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            letters: letters(text.as_bytes()),
        }
    }

    fn is_in(self, name: &[u8]) -> bool {
        name.windows(self.text.len())
            .any(|part| part.eq_ignore_ascii_case(self.text.as_bytes()))
    }

    fn ends(self, name: &[u8]) -> bool {
        name.len()
            .checked_sub(self.text.len())
            .and_then(|start| name.get(start..))
            .is_some_and(|part| part.eq_ignore_ascii_case(self.text.as_bytes()))
    }
}

/// Whether all of a field's value is masked because of the field's name.
pub(super) fn is_sensitive(name: &str) -> bool {
    is_secret(name.as_bytes()) || is_personal_number(name.as_bytes())
}

pub(super) fn is_secret(name: &[u8]) -> bool {
    let letters = letters(name);
    any(ANYWHERE, letters, |word| word.is_in(name))
        || any(AT_THE_END, letters, |word| word.ends(name))
}

pub(super) fn is_personal_number(name: &[u8]) -> bool {
    any(NUMBERS, letters(name), |word| word.ends(name))
}

/// Most names lack a letter of every word, which costs less to see than the words' absence.
fn any(words: &[Word], letters: u32, is_there: impl Fn(Word) -> bool) -> bool {
    words
        .iter()
        .any(|word| word.letters & letters.not() == 0 && is_there(*word))
}

/// One bit for each letter of the alphabet.
const fn letters(text: &[u8]) -> u32 {
    let mut letters = 0;
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        if byte.is_ascii_alphabetic() {
            letters |= 1 << (byte.to_ascii_lowercase() - b'a');
        }
        rest = tail;
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in [
            "password",
            "user.Password",
            "clientSecret",
            "X-Api-Key",
            "payment_token",
            "http.request.header.authorization",
            "set-cookie",
            "customer.phone",
            "card_number",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in [
            "network.protocol.version",
            "http.auth.present",
            "order.amount",
            "db.collection.name",
            "tokens_used",
            "",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }
}
