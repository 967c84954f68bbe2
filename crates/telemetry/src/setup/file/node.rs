//! A YAML document as a tree, with the variables of its values replaced. Keys stay as they are.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, options};

use super::scalar::Scalar;
use super::substitution::Substitution;

/// The deepest nesting of lists and mappings. The deepest of the specification is 12.
const MAX_DEPTH: usize = 32;

pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    /// How deep lists and mappings are nested inside, this one included.
    depth: usize,
    pub(super) content: Content,
}

pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Rc<Node>,
}

/// Why a text is no document, or a document is not accepted, and the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformation {
    pub(super) line: usize,
    pub(super) reason: String,
}

/// # Errors
/// If the text is not one YAML document, or has a malformed reference to a variable.
pub(super) fn parse(text: &str, substitution: &mut Substitution<'_>) -> Result<Rc<Node>, Malformation> {
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options! { emit_comments: false }),
        substitution,
        anchors: HashMap::new(),
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event if root.is_none() => root = Some(reader.node(event, span)?),
            _ => return Err(malformation(span, "a second document; takes one")),
        }
    }
    root.ok_or_else(|| Malformation {
        line: 1,
        reason: "got nothing; takes a mapping".to_owned(),
    })
}

struct Reader<'a, 'env> {
    events: Parser<'a, StrInput<'a>>,
    substitution: &'a mut Substitution<'env>,
    anchors: HashMap<usize, Rc<Node>>,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Malformation> {
        let unreadable = |error: ScanError| Malformation {
            line: error.marker().line(),
            reason: error.info(),
        };
        match self.events.next() {
            Some(event) => event.map_err(unreadable),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Rc<Node>, Malformation> {
        let (anchor, content) = match event {
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).map(Rc::clone);
                return target.ok_or_else(|| malformation(span, "an alias inside of what it names"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let text = self.substitution.apply(&text);
                let text = text.map_err(|malformed| malformation(span, &malformed.to_string()))?;
                let is_plain = style == ScalarStyle::Plain && !is_text;
                (anchor, Content::Scalar(Scalar { text, is_plain }))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Content::List(self.items()?)),
            Event::MappingStart(_, anchor, _) => (anchor, Content::Mapping(self.entries()?)),
            _ => return Err(malformation(span, "no value")),
        };
        let depth = 1 + content.depth();
        if depth > MAX_DEPTH {
            return Err(malformation(span, "nested too deep"));
        }
        let line = span.start.line();
        let node = Rc::new(Node { line, depth, content });
        // 0 is no anchor.
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Vec<Rc<Node>>, Malformation> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Malformation> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(malformation(span, "a key that is no text")),
            };
            let line = span.start.line();
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            entries.push(Entry { key, line, value });
        }
    }
}

impl Content {
    /// The depth of the deepest node inside.
    fn depth(&self) -> usize {
        let deepest = match self {
            Self::Scalar(_) => None,
            Self::List(items) => items.iter().map(|item| item.depth).max(),
            Self::Mapping(entries) => entries.iter().map(|entry| entry.value.depth).max(),
        };
        deepest.unwrap_or_default()
    }
}

fn malformation(span: Span, reason: &str) -> Malformation {
    Malformation {
        line: span.start.line(),
        reason: reason.to_owned(),
    }
}
