//! Deserializes types from a [`Node`]. A refusal has the path of the key.
//!
//! A mapping that is `null` is as one without keys, so that `console:` needs no `{}`.

use std::rc::Rc;

use serde::de::{
    Deserialize, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserializer, forward_to_deserialize_any};

use super::node::{Content, Entry, Node};
use super::refusal::{Refusal, one_of};

pub(super) fn deserialize<'de, T: Deserialize<'de>>(node: &Node) -> Result<T, Refusal> {
    T::deserialize(node)
}

impl Node {
    fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(scalar) if scalar.is_null())
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match &self.content {
            Content::Scalar(scalar) => scalar.visit(visitor),
            Content::List(items) => visitor.visit_seq(Items { items, index: 0 }),
            Content::Mapping(entries) => visitor.visit_map(Entries { entries }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match &self.content {
            Content::List(_) => Err(Refusal::new("got a list; takes a mapping")),
            _ if self.is_null() => visitor.visit_map(Entries { entries: &[] }),
            _ => self.deserialize_any(visitor),
        }
    }

    /// A word, or a mapping with one key.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match &self.content {
            Content::Mapping(entries) => match entries.as_slice() {
                [Entry { key, .. }] if !words.contains(&key.as_str()) => {
                    Err(Refusal::unknown(words).within(key))
                }
                [Entry { key, value, .. }] => visitor.visit_enum(Choice {
                    word: key,
                    content: Some(value),
                }),
                _ => Err(Refusal::new(format!("takes one of {}", one_of(words)))),
            },
            Content::Scalar(scalar) if !self.is_null() => visitor.visit_enum(Choice {
                word: &scalar.text,
                content: None,
            }),
            _ => Err(Refusal::new(format!("takes {}", one_of(words)))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Rc<Node>],
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.items.get(self.index) else {
            return Ok(None);
        };
        let value = seed
            .deserialize(item.as_ref())
            .map_err(|refusal| refusal.within_item(self.index))?;
        self.index += 1;
        Ok(Some(value))
    }
}

/// Those that are left.
struct Entries<'a> {
    entries: &'a [Entry],
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some(Entry { key, .. }) = self.entries.first() else {
            return Ok(None);
        };
        let found = seed.deserialize(key.as_str().into_deserializer());
        found.map(Some).map_err(|refusal: Refusal| refusal.within(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some((entry, rest)) = self.entries.split_first() else {
            return Err(Refusal::new("no value"));
        };
        self.entries = rest;
        let value = seed.deserialize(entry.value.as_ref());
        value.map_err(|refusal| refusal.within(&entry.key))
    }
}

/// One of several words, and what the mapping has at it.
struct Choice<'a> {
    word: &'a str,
    content: Option<&'a Node>,
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        let variant = seed.deserialize(self.word.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.content {
            None => Ok(()),
            Some(_) => Err(Refusal::new("got a mapping; takes a text")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        let Some(content) = self.content else {
            let reason = format!("got a text; takes a mapping, `{}:`", self.word);
            return Err(Refusal::new(reason));
        };
        let value = seed.deserialize(content);
        value.map_err(|refusal| refusal.within(self.word))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Refusal> {
        self.unsupported()
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Refusal> {
        self.unsupported()
    }
}

impl Choice<'_> {
    /// No type of a configuration has such a variant.
    fn unsupported<T>(self) -> Result<T, Refusal> {
        Err(Refusal::new("takes a mapping").within(self.word))
    }
}
