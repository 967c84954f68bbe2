//! `resource`.

use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::node::Malformation;
use super::place::{Place, each, keys, optional};
use crate::setup::resource;

type Read = fn(&Place<'_>) -> Result<Value, Malformation>;

/// The types of attributes.
const TYPES: [(&str, Read); 8] = [
    ("string", |place| Ok(text(place)?.into())),
    ("bool", |place| Ok(place.boolean()?.into())),
    ("int", |place| Ok(int(place)?.into())),
    ("double", |place| Ok(place.number()?.into())),
    ("string_array", |place| array(place, text)),
    ("bool_array", |place| array(place, Place::boolean)),
    ("int_array", |place| array(place, int)),
    ("double_array", |place| array(place, Place::number)),
];

/// The attributes and the schema. Those of `attributes` override those of `attributes_list`.
pub(super) fn read(place: Option<&Place<'_>>) -> Result<(Vec<KeyValue>, String), Malformation> {
    let [attributes, list, schema_url] = keys(place, ["attributes", "attributes_list", "schema_url"])?;
    let listed = optional(list.as_ref(), |place| {
        place.parsed(resource::LIST, resource::parse_list)
    })?;
    let mut all = listed.unwrap_or_default();
    all.extend(each(attributes.as_ref(), attribute)?.into_iter().flatten());
    let schema_url = optional(schema_url.as_ref(), Place::text)?;
    Ok((all, schema_url.unwrap_or_default().to_owned()))
}

/// `None` if the value is `null`, which leaves the attribute out.
fn attribute(place: &Place<'_>) -> Result<Option<KeyValue>, Malformation> {
    let [name, value, of_type] = place.keys(["name", "value", "type"])?;
    let name = place.required("name", name)?.text()?.to_owned();
    let value = place.required("value", value)?;
    let read = optional(of_type.as_ref(), |place| place.word(&TYPES))?;
    let read = read.unwrap_or(|place| Ok(text(place)?.into()));
    optional(Some(&value), |value| {
        let refusal = |_| value.refuse("takes a value of the attribute's type, a text without `type`");
        Ok(KeyValue::new(name, read(value).map_err(refusal)?))
    })
}

fn text(place: &Place<'_>) -> Result<StringValue, Malformation> {
    Ok(place.text()?.to_owned().into())
}

fn int(place: &Place<'_>) -> Result<i64, Malformation> {
    place.integer("an integer")
}

fn array<'a, T>(
    place: &Place<'a>,
    read: impl Fn(&Place<'a>) -> Result<T, Malformation>,
) -> Result<Value, Malformation>
where
    Array: From<Vec<T>>,
{
    let values = each(Some(place), read)?;
    Ok(Value::Array(values.into()))
}
