//! `resource`.

use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::setup::resource;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resource {
    #[serde(default)]
    attributes: Vec<Attribute>,
    attributes_list: Option<AttributeList>,
    pub(super) schema_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    name: String,
    /// `null` leaves the attribute out.
    value: serde_json::Value,
    r#type: Option<Type>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    #[default]
    String,
    Bool,
    Int,
    Double,
    StringArray,
    BoolArray,
    IntArray,
    DoubleArray,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct AttributeList(Vec<KeyValue>);

impl TryFrom<String> for AttributeList {
    type Error = String;

    fn try_from(list: String) -> Result<Self, String> {
        let attributes = resource::parse_list(&list);
        let refusal = || format!("got `{list}`; takes {}", resource::LIST);
        attributes.map(Self).ok_or_else(refusal)
    }
}

impl Resource {
    /// Those of `attributes` override those of `attributes_list`.
    pub(super) fn attributes(self) -> Result<Vec<KeyValue>, Refusal> {
        let mut attributes = self.attributes_list.map_or_else(Vec::new, |list| list.0);
        for (index, attribute) in self.attributes.into_iter().enumerate() {
            let built = attribute.build();
            let refused = |refusal: Refusal| refusal.within_item(index).within("attributes");
            attributes.extend(built.map_err(refused)?);
        }
        Ok(attributes)
    }
}

impl Attribute {
    fn build(self) -> Result<Option<KeyValue>, Refusal> {
        if self.value.is_null() {
            return Ok(None);
        }
        let value = self.r#type.unwrap_or_default().read(self.value);
        let refusal = || Refusal::new("takes a value of the attribute's type, a text without `type`");
        let value = value.ok_or_else(|| refusal().within("value"))?;
        Ok(Some(KeyValue::new(self.name, value)))
    }
}

impl Type {
    /// `None` for a value of another type.
    fn read(self, value: serde_json::Value) -> Option<Value> {
        Some(match self {
            Self::String => read::<String>(value)?.into(),
            Self::Bool => read::<bool>(value)?.into(),
            Self::Int => read::<i64>(value)?.into(),
            Self::Double => read::<f64>(value)?.into(),
            Self::StringArray => {
                let texts = read::<Vec<String>>(value)?;
                Value::Array(Array::String(texts.into_iter().map(StringValue::from).collect()))
            }
            Self::BoolArray => Value::Array(Array::Bool(read(value)?)),
            Self::IntArray => Value::Array(Array::I64(read(value)?)),
            Self::DoubleArray => Value::Array(Array::F64(read(value)?)),
        })
    }
}

fn read<T: DeserializeOwned>(value: serde_json::Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
