//! The OpenAPI 3.1 document: paths and answers come from the handlers and their types, what a body may be from the domain's limits.
//! The committed `openapi.json` is this document; a test keeps it so.

mod schemas;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

pub(crate) use schemas::{Event, FailureBody, Method, NewOrder, PaymentState, Status};

use crate::{health, orders};

#[derive(OpenApi)]
#[openapi(paths(health::live, health::ready))]
struct Health;

/// What any endpoint that asks for a token may answer.
const COMMON: [(&str, &str); 6] = [
    ("400", "The request is malformed"),
    ("401", "A good bearer token is required"),
    ("403", "The token lacks the scope"),
    ("429", "Too many requests: try again after Retry-After"),
    ("500", "Something went wrong on our side"),
    ("503", "Not available at the moment: try again after Retry-After"),
];

/// The document, made once.
pub(crate) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = format!("{:#}", build());
        text.push('\n');
        text
    });
    &DOCUMENT
}

pub(crate) async fn serve() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(header::ContentType::json())
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(document())
}

fn build() -> Value {
    let parts = [
        generated(&orders::paths::Orders::openapi()),
        generated(&Health::openapi()),
    ];
    let members = |pointer: &'static str| {
        let parts = parts.iter();
        let parts = parts.filter_map(move |part| part.pointer(pointer)?.as_object());
        parts.flatten().map(|(name, value)| (name.clone(), value.clone()))
    };
    let mut paths: Map<String, Value> = members("/paths").collect();
    let mut schemas: Map<String, Value> = members("/components/schemas").collect();
    schemas.append(&mut schemas::by_hand());
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flatten() {
        complete(operation.1);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Throughline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Takes orders, processes and charges them in the background, and shows each as one trace.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [{ "name": "orders" }, { "name": "health" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Scopes: orders:read, orders:write, orders:admin. Without authentication (AUTH=off) none is needed.",
            } },
        },
    })
}

fn generated(document: &utoipa::openapi::OpenApi) -> Value {
    // Text and maps: it always goes into JSON.
    serde_json::to_value(document).unwrap_or_default()
}

/// Adds the common errors, gives each error its body, and says of what need not be there that it is absent, never null.
fn complete(operation: &mut Value) {
    for parameter in array(operation, "/parameters") {
        not_null(parameter);
    }
    let secured = operation.pointer("/security/0/bearer").is_some();
    let Some(responses) = operation.pointer_mut("/responses").and_then(Value::as_object_mut) else {
        return;
    };
    if secured {
        for (status, description) in COMMON {
            let response = json!({ "description": description });
            responses.entry(status).or_insert(response);
        }
    }
    for (status, response) in responses.iter_mut() {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        if status.starts_with(['4', '5']) {
            let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
            response.entry("content").or_insert(problem);
        }
        for header in response
            .get_mut("headers")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            not_null(header.1);
        }
        if secured
            && let Some(headers) = response
                .entry("headers")
                .or_insert_with(|| json!({}))
                .as_object_mut()
        {
            for (name, kind, description) in headers_of(status) {
                let header = json!({ "schema": { "type": kind }, "description": description });
                headers.entry(name).or_insert(header);
            }
        }
    }
}

/// The headers that come with a status, whatever was asked for: name, type and description.
fn headers_of(status: &str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let own = match status {
        "304" => Some(("ETag", "string", "Changes with the order")),
        "401" | "403" => Some(("WWW-Authenticate", "string", "What is lacking (RFC 6750)")),
        "429" | "503" => Some(("Retry-After", "integer", "Seconds")),
        _ => None,
    };
    let limit = [
        (
            "RateLimit",
            "string",
            "Where the client stands, where there is a limit",
        ),
        ("RateLimit-Policy", "string", "The limit, where there is one"),
    ];
    own.into_iter().chain(limit)
}

fn array<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    let found = value.pointer_mut(pointer).and_then(Value::as_array_mut);
    found.into_iter().flatten()
}

fn not_null(parameter: &mut Value) {
    let null = |schema: &Value| schema == "null" || schema.pointer("/type") == Some(&json!("null"));
    let Some(schema) = parameter.get_mut("schema") else {
        return;
    };
    for list in ["type", "oneOf"] {
        let Some(Value::Array(either)) = schema.get_mut(list) else {
            continue;
        };
        either.retain(|one| !null(one));
        let Some(only) = either.pop() else {
            continue;
        };
        if list == "type" {
            schema["type"] = only;
        } else {
            *schema = only;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == document(),
            "crates/api/openapi.json is out of date: run `UPDATE_OPENAPI=1 cargo test -p throughline-api openapi`"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let (document, text) = (build(), document());
        for reference in text.split("\"$ref\": \"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
