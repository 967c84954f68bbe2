//! The frame of every page, and the escaping that all received text goes through.

use std::fmt::{self, Display, Write};

use crate::waterfall::printable;

/// How many colours the stylesheet has for services.
const COLOURS: usize = 8;

/// Text made safe for an element's content and for a quoted attribute.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

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

/// A whole page.
pub(crate) struct Page<'a, B> {
    pub(crate) title: &'a str,
    pub(crate) body: B,
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

/// The colours of the services: by their order among all known ones, so that few of them never share one.
pub(crate) struct Palette {
    services: Vec<String>,
}

impl Palette {
    /// `services` are all that are known, by name.
    pub(crate) fn of(services: Vec<String>) -> Self {
        Self { services }
    }

    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    /// The class that gives a service its colour.
    pub(crate) fn class(&self, service: &str) -> String {
        let place = self
            .services
            .iter()
            .position(|known| known == service)
            .unwrap_or_default();
        format!("c{}", place % COLOURS)
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
