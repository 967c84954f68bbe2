//! The escaping of every text of a template.

use std::fmt;

use askama::filters::Escaper;

use crate::format::is_unsafe;

/// Escapes markup, and replaces control characters and direction marks. `askama.toml` names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printable;

impl Escaper for Printable {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, from) = rest.split_at(at);
            let mut letters = from.chars();
            dest.write_str(plain)?;
            if let Some(letter) = letters.next() {
                dest.write_str(escaped(letter))?;
            }
            rest = letters.as_str();
        }
        dest.write_str(rest)
    }
}

fn needs_escape(letter: char) -> bool {
    matches!(letter, '&' | '<' | '>' | '"' | '\'') || is_unsafe(letter)
}

fn escaped(letter: char) -> &'static str {
    match letter {
        '&' => "&#38;",
        '<' => "&#60;",
        '>' => "&#62;",
        '"' => "&#34;",
        '\'' => "&#39;",
        _ => "\u{fffd}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_quotes_and_control_characters_are_escaped() {
        let mut text = String::new();
        let received = "<b a=\"1\" c='2'>&\x1b[2J\u{202e}é</b>";
        Printable.write_escaped_str(&mut text, received).unwrap();
        assert_eq!(
            text,
            "&#60;b a=&#34;1&#34; c=&#39;2&#39;&#62;&#38;\u{fffd}[2J\u{fffd}é&#60;/b&#62;"
        );
    }
}
