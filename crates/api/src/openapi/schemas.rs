//! The schemas that no derive can express: problems, events, and what a client may send as a new order.

use domain::limits;
use serde_json::{Value, json};
use store::Change;

pub(super) fn by_hand() -> [(&'static str, Value); 7] {
    [
        ("NewOrder", new_order()),
        ("Amount", amount()),
        ("Problem", problem()),
        ("Event", event()),
        ("Transition", transition()),
        ("RetryFilter", bulk_filter(Change::Retry)),
        ("CancelFilter", bulk_filter(Change::Cancel)),
    ]
}

/// Either one product or a list of items. `null` and an absent field mean the same. A schema cannot express
/// that an amount has at most the decimals of its currency, nor that the sum is at most 99999999.99.
fn new_order() -> Value {
    let payment = json!({
        "currency": { "type": ["string", "null"], "pattern": "^[A-Z]{3}$", "description": "ISO 4217; USD if absent", "examples": ["USD"] },
        "payment_method": { "oneOf": [{ "$ref": "#/components/schemas/PaymentMethod" }, { "type": "null" }] },
        "payment_token": { "type": ["string", "null"], "pattern": "^[!-~]{1,255}$", "description": "The gateway's token for the payment method" },
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
        "description": "No control characters; not only spaces",
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

/// At least one filter. A schema can express that by requiring one of them.
fn bulk_filter(change: Change) -> Value {
    let status = change.from_status().as_str();
    let filters = [
        "status",
        "payment_status",
        "failure_code",
        "created_after",
        "created_before",
        "customer",
    ];
    let one_of_them: Vec<Value> = filters.iter().map(|name| json!({ "required": [name] })).collect();
    json!({
        "type": "object",
        "description": "The orders to change: those that meet all filters. At least one filter is required",
        "properties": {
            "status": { "type": "string", "enum": [status], "description": "Alone: every order that can be changed" },
            "payment_status": { "$ref": "#/components/schemas/PaymentStatus" },
            "failure_code": { "type": "string", "pattern": "^[a-z0-9_]{1,64}$" },
            "created_after": { "type": "string", "format": "date-time", "description": "Created at this time or later" },
            "created_before": { "type": "string", "format": "date-time" },
            "customer": { "type": "string", "pattern": "^[ -~]{1,255}$" },
            "dry_run": { "type": "boolean", "description": "Only count the orders", "default": false },
        },
        "anyOf": one_of_them,
        "additionalProperties": false,
        "examples": [
            match change {
                Change::Retry => json!({ "failure_code": "payment_deadline", "created_after": "2026-01-31T12:00:00Z", "dry_run": true }),
                Change::Cancel => json!({ "customer": "ada", "dry_run": true }),
            },
        ],
    })
}

fn amount() -> Value {
    json!({
        "description": "More than 0, at most 99999999.99, at most the currency's decimals; decimal text or a number",
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
            "instance": { "type": "string", "description": "The requested path" },
            "trace_id": { "type": ["string", "null"], "description": "The trace of the request; include it when you report a problem" },
            "errors": { "type": "array", "maxItems": 100, "description": "The invalid fields", "items": {
                "type": "object",
                "properties": {
                    "pointer": { "type": "string", "description": "The field in the body (RFC 6901)" },
                    "detail": { "type": "string" },
                },
                "required": ["pointer", "detail"],
            } },
            "omitted_errors": { "type": "integer", "minimum": 1, "description": "Invalid fields that `errors` leaves out, if it leaves out any" },
        },
        "required": ["type", "title", "status", "detail", "instance", "trace_id"],
        "examples": [{
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "The body has invalid fields.",
            "instance": "/api/orders",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "errors": [{ "pointer": "/items/0/quantity", "detail": "is 1 to 100000" }],
        }],
    })
}

fn event() -> Value {
    json!({
        "type": "object",
        "description": "One server-sent event",
        "properties": {
            "id": { "type": "string", "description": "Sent as Last-Event-ID when a client reconnects" },
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
        "description": "The order after a transition: the data of an event",
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
