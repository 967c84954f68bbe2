//! The frame of every page, and the escaping of received text.

use std::fmt::{self, Display, Write};

use crate::format::printable;

/// The number of colours for services in `lens.css`.
const COLOURS: usize = 8;

/// Escapes text for the content of an element and for a quoted attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in printable(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

pub(super) struct Page<'a, B> {
    pub(super) title: &'a str,
    pub(super) body: B,
}

impl<B: Display> Display for Page<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{} · lens</title>\
             <link rel=\"icon\" href=\"/assets/lens.svg\"><link rel=\"stylesheet\" href=\"/assets/lens.css\"></head>\
             <body><nav><a href=\"/\">lens</a></nav><main>{}</main></body></html>\n",
            Escaped(self.title),
            self.body
        )
    }
}

/// The colours of the services, by the order of all known services: up to eight never share a colour.
pub(super) struct Palette {
    services: Vec<String>,
}

impl Palette {
    /// `services` are all known services, sorted by name.
    pub(super) fn of(services: Vec<String>) -> Self {
        Self { services }
    }

    pub(super) fn services(&self) -> &[String] {
        &self.services
    }

    /// The CSS class of a service's colour.
    pub(super) fn class(&self, service: &str) -> String {
        let known = self
            .services
            .binary_search_by(|known| known.as_str().cmp(service));
        let index = known.unwrap_or_default();
        format!("c{}", index % COLOURS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_quotes_are_escaped() {
        let escaped = Escaped("<script>alert('x' & \"y\")</script>").to_string();
        assert_eq!(
            escaped,
            "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;"
        );
    }
}
