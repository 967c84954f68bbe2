//! Names that say that their value is a secret: `password`, `clientSecret`, `x-api-key`, `access_token`, `customer.phone`.

use std::ops::Not;

use super::known;

/// What a name contains.
const ANYWHERE: [Word; 10] = [
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
/// What a name ends with.
const AT_THE_END: [Word; 7] = [
    Word::new("token"),
    Word::new("pwd"),
    Word::new("cookie"),
    Word::new("private_key"),
    Word::new("access_key"),
    Word::new("cvv"),
    Word::new("cvc"),
];
/// What names of personal numbers end with; in prose only digits behind them are masked.
const NUMBERS: [Word; 8] = [
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
    letters: Letters,
}

impl Word {
    const fn new(text: &'static str) -> Self {
        Self {
            text,
            letters: Letters::of(text.as_bytes()),
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
    if known::is_known(&known::NAMES, name) {
        return false;
    }
    let letters = Letters::of(name.as_bytes());
    let is_sensitive =
        says_secret(name.as_bytes(), letters) || says_personal_number(name.as_bytes(), letters);
    if !is_sensitive {
        known::remember(&known::NAMES, name);
    }
    is_sensitive
}

pub(super) fn is_secret(name: &[u8]) -> bool {
    says_secret(name, Letters::of(name))
}

pub(super) fn is_personal_number(name: &[u8]) -> bool {
    says_personal_number(name, Letters::of(name))
}

fn says_secret(name: &[u8], letters: Letters) -> bool {
    letters.spell_one_of(&ANYWHERE) && ANYWHERE.iter().any(|word| word.is_in(name))
        || letters.spell_one_of(&AT_THE_END) && AT_THE_END.iter().any(|word| word.ends(name))
}

fn says_personal_number(name: &[u8], letters: Letters) -> bool {
    letters.spell_one_of(&NUMBERS) && NUMBERS.iter().any(|word| word.ends(name))
}

/// The letters of a text, one bit for each. Most names lack a letter of every word, which costs less to see than that they lack
/// the word.
#[derive(Debug, Clone, Copy)]
struct Letters(u32);

impl Letters {
    /// The bit of each byte; none for what is no letter.
    #[allow(clippy::indexing_slicing, clippy::as_conversions)]
    const fn bits() -> [u32; 256] {
        let mut bits = [0; 256];
        let mut letter = 0;
        while letter < 26 {
            bits[(b'a' + letter) as usize] = 1 << letter;
            bits[(b'A' + letter) as usize] = 1 << letter;
            letter += 1;
        }
        bits
    }

    /// Indexing by a byte cannot be out of bounds, and a `const fn` has no other way.
    #[allow(clippy::indexing_slicing, clippy::as_conversions)]
    const fn of(text: &[u8]) -> Self {
        static BITS: [u32; 256] = Letters::bits();
        let mut letters = 0;
        let mut rest = text;
        while let [byte, tail @ ..] = rest {
            letters |= BITS[*byte as usize];
            rest = tail;
        }
        Self(letters)
    }

    /// Whether all letters of one of the words are there. Looks at all words, which takes less time than stopping at one.
    fn spell_one_of(self, words: &[Word]) -> bool {
        let lacked = |word: &Word| word.letters.0 & self.0.not();
        words
            .iter()
            .fold(false, |found, word| found | (lacked(word) == 0))
    }
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
