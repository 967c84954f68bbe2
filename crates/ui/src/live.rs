//! Live parts of pages: the server sends an element as a server-sent event, and the script of the pages
//! replaces the element with the same id.

/// A message event (<https://html.spec.whatwg.org/multipage/server-sent-events.html>). Each line of its data
/// has a field; a carriage return would end a line too.
#[must_use]
pub fn event(html: &str) -> String {
    let mut event = String::with_capacity(html.len() + 64);
    for line in html.split(['\n', '\r']).filter(|line| !line.is_empty()) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_begins_another_field_or_event() {
        let html = "<b>a\r\n\r\nevent: x\rid: 1</b>";
        assert_eq!(event(html), "data: <b>a\ndata: event: x\ndata: id: 1</b>\n\n");
    }
}
