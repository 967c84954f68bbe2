//! Schemas that are not one of our own structs: the words of the domain, problems, and what a new order may be.

use domain::{FailureCode, OrderStatus, PaymentMethod, PaymentStatus, limits};
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A type for the schema of an enum of the domain, which knows nothing of OpenAPI.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $words:ty as $title:literal;)+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = <$words>::ALL.iter().map(|word| word.as_str());
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $title.into()
            }
        }
    )+};
}

words! {
    /// [`OrderStatus`].
    Status = OrderStatus as "OrderStatus";
    /// [`PaymentMethod`].
    Method = PaymentMethod as "PaymentMethod";
    /// [`PaymentStatus`].
    PaymentState = PaymentStatus as "PaymentStatus";
    /// [`FailureCode`].
    Code = FailureCode as "FailureCode";
}

/// Why an order, or an attempt at it, failed.
#[derive(ToSchema)]
#[schema(as = Failure)]
#[expect(dead_code, reason = "a schema alone: the answer holds the domain's own")]
pub(crate) struct FailureBody {
    #[schema(value_type = Code)]
    code: FailureCode,
    /// What happened, for a person.
    detail: String,
}

/// A type whose schema is written by hand, below.
macro_rules! by_hand {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

by_hand! {
    /// What a client may ask for.
    NewOrder;
    /// A server-sent event.
    Event;
}

/// The schemas that no derive can express.
pub(super) fn by_hand() -> Map<String, Value> {
    let schemas = json!({
        "NewOrder": new_order(),
        "Amount": amount(),
        "Problem": problem(),
        "Event": event(),
        "Transition": transition(),
    });
    match schemas {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    }
}

/// Either one product, or several. That an amount has at most the decimals of its currency, and that the sum is at most 99999999.99,
/// no schema can say. A field that is null is as one that is absent.
fn new_order() -> Value {
    let payment = json!({
        "currency": { "type": ["string", "null"], "pattern": "^[A-Z]{3}$", "description": "ISO 4217; USD where it is absent", "examples": ["USD"] },
        "payment_method": { "oneOf": [{ "$ref": "#/components/schemas/PaymentMethod" }, { "type": "null" }] },
        "payment_token": { "type": ["string", "null"], "pattern": "^[!-~]{1,255}$", "description": "The gateway's token for the means of payment" },
    });
    let form = |own: Value, required: Value| {
        let mut properties = own.as_object().cloned().unwrap_or_default();
        properties.extend(payment.as_object().cloned().unwrap_or_default());
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "dependentRequired": { "payment_token": ["payment_method"] },
            "additionalProperties": false,
        })
    };
    let name = json!({
        "type": "string",
        "minLength": limits::PRODUCT_NAME.start(),
        "maxLength": limits::PRODUCT_NAME.end(),
        "pattern": "^[ -~]*[!-~][ -~]*$",
        "description": "No control characters, and not only blanks",
    });
    let item = json!({
        "type": "object",
        "properties": {
            "product_name": name,
            "quantity": { "type": "integer", "minimum": limits::QUANTITY.start(), "maximum": limits::QUANTITY.end() },
            "unit_price": { "$ref": "#/components/schemas/Amount" },
        },
        "required": ["product_name", "quantity", "unit_price"],
        "additionalProperties": false,
    });
    let amount = json!({ "$ref": "#/components/schemas/Amount" });
    let absent = json!({ "type": "null" });
    let items = json!({ "type": "array", "items": item, "minItems": limits::ITEMS.start(), "maxItems": limits::ITEMS.end() });
    json!({
        "oneOf": [
            form(json!({ "product_name": name, "amount": amount, "items": absent }), json!(["product_name", "amount"])),
            form(json!({ "items": items, "product_name": absent, "amount": absent }), json!(["items"])),
        ],
        "examples": [
            { "product_name": "Widget", "amount": "99.99" },
            { "items": [{ "product_name": "Widget", "quantity": 2, "unit_price": "49.99" }], "currency": "EUR", "payment_method": "credit_card" },
        ],
    })
}

fn amount() -> Value {
    json!({
        "description": "More than 0, at most 99999999.99, at most the currency's decimals; decimal text, or a number",
        "oneOf": [
            { "type": "string", "pattern": "^(0|[1-9][0-9]{0,7})(\\.[0-9]{1,4})?$" },
            { "type": "number", "exclusiveMinimum": 0, "maximum": 99_999_999.99 },
        ],
        "examples": ["99.99"],
    })
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What is wrong, for a person" },
            "instance": { "type": "string", "description": "The path that was asked for" },
            "trace_id": { "type": ["string", "null"], "description": "Shows what happened; worth telling when asking for help" },
            "errors": { "type": "array", "description": "Every field that cannot be taken", "items": {
                "type": "object",
                "properties": {
                    "pointer": { "type": "string", "description": "Where in the body (RFC 6901)" },
                    "detail": { "type": "string" },
                },
                "required": ["pointer", "detail"],
            } },
        },
        "required": ["type", "title", "status", "detail", "instance", "trace_id"],
    })
}

fn event() -> Value {
    json!({
        "type": "object",
        "description": "One server-sent event",
        "properties": {
            "id": { "type": "string", "description": "To be sent as Last-Event-ID by who reconnects" },
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": { "$ref": "#/components/schemas/Transition" },
            },
        },
        "required": ["id", "data"],
    })
}

fn transition() -> Value {
    json!({
        "type": "object",
        "description": "What an order became: the data of an event",
        "properties": {
            "order_id": { "type": "string", "format": "uuid" },
            "status": { "$ref": "#/components/schemas/OrderStatus" },
            "attempt": { "type": "integer" },
            "payment_status": { "$ref": "#/components/schemas/PaymentStatus" },
            "failure": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Failure" }] },
            "updated_at": { "type": "string", "format": "date-time" },
        },
        "required": ["order_id", "status", "attempt", "payment_status", "failure", "updated_at"],
    })
}
