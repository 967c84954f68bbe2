//! The OpenAPI 3.1 document. Paths and responses come from the handlers and their types, the limits of a body
//! from the domain. A test compares it with the committed `openapi.json`.

mod examples;
mod schemas;

use std::sync::LazyLock;

use actix_web::http::header::{self, EntityTag};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::{etag, health, operations, orders};

#[derive(OpenApi)]
#[openapi(paths(
    orders::create::create,
    orders::list::list,
    orders::analytics::analytics,
    orders::read::read,
    orders::cancel::cancel,
    orders::events::events,
    orders::history::history,
    orders::retry::retry,
    operations::bulk::retry,
    operations::bulk::cancel,
    operations::read::list,
    operations::read::read,
    operations::queue::pause,
    operations::queue::resume,
    health::live,
    health::ready,
))]
struct Endpoints;

/// The responses of every endpoint that requires a token.
const COMMON_ERRORS: [(&str, &str); 6] = [
    ("400", "The request is malformed"),
    ("401", "A valid bearer token is required"),
    ("403", "The token lacks the scope"),
    ("429", "Too many requests: retry after Retry-After"),
    ("500", "Internal error"),
    ("503", "Temporarily unavailable: retry after Retry-After"),
];

pub(crate) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = format!("{:#}", build());
        text.push('\n');
        text
    });
    &DOCUMENT
}

pub(crate) async fn serve(request: HttpRequest) -> HttpResponse {
    static TAG: LazyLock<EntityTag> = LazyLock::new(|| etag::of(document().as_bytes()));
    let body = Bytes::from_static(document().as_bytes());
    etag::respond(&request, TAG.clone(), "application/json", body, |response| {
        response.insert_header((header::CACHE_CONTROL, "public, max-age=300"));
    })
}

fn build() -> Value {
    // Text and maps: serializing them does not fail.
    let generated = serde_json::to_value(Endpoints::openapi()).unwrap_or_default();
    let members = |pointer| {
        let members = generated.pointer(pointer).and_then(Value::as_object);
        members.cloned().unwrap_or_default()
    };
    let mut paths = members("/paths");
    let mut schemas = members("/components/schemas");
    schemas.extend(schemas::by_hand().map(|(name, schema)| (name.to_owned(), schema)));
    for (path, operations) in &mut paths {
        for (_, operation) in operations.as_object_mut().into_iter().flatten() {
            add_common_errors(operation);
            examples::add(path, operation, &schemas);
        }
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
        "tags": [{ "name": "orders" }, { "name": "operations" }, { "name": "health" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "Scopes: orders:read, orders:write, orders:observe (operators, reads the orders of all customers), orders:admin (operators). Without authentication (AUTH=off) no token is needed.",
            } },
        },
    })
}

/// Adds the common errors, the body of each error, and the common headers. Request bodies are required;
/// optional parameters are absent, never null.
fn add_common_errors(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    parameters.into_iter().flatten().for_each(not_null);
    if let Some(body) = operation.get_mut("requestBody").and_then(Value::as_object_mut) {
        body.insert("required".to_owned(), true.into());
    }
    let secured = operation.pointer("/security/0/bearer").is_some();
    let Some(responses) = operation.pointer_mut("/responses").and_then(Value::as_object_mut) else {
        return;
    };
    if secured {
        for (status, description) in COMMON_ERRORS {
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
            for (name, kind, description) in common_headers(status) {
                let header = json!({ "schema": { "type": kind }, "description": description });
                headers.entry(name).or_insert(header);
            }
        }
    }
}

/// The headers of every response with this status: name, type and description.
fn common_headers(status: &str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let own = match status {
        "304" => Some(("ETag", "string", "Changes with the order")),
        "401" | "403" => Some(("WWW-Authenticate", "string", "What is missing (RFC 6750)")),
        "429" | "503" => Some(("Retry-After", "integer", "Seconds")),
        _ => None,
    };
    let limit = [
        (
            "RateLimit",
            "string",
            "What is left of the limit, if there is one",
        ),
        ("RateLimit-Policy", "string", "The limit, if there is one"),
    ];
    own.into_iter().chain(limit)
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
        either.retain(|schema| !null(schema));
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
    fn every_response_with_a_body_and_every_request_has_an_example() {
        let document = build();
        let operations = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, operations)| {
                operations
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(move |(method, operation)| (path, method, operation))
            });
        for (path, method, operation) in operations {
            for (status, response) in operation["responses"].as_object().unwrap() {
                for (media_type, media) in response["content"].as_object().into_iter().flatten() {
                    let has_example =
                        media.get("example").is_some() || media_type == "application/problem+json";
                    assert!(has_example, "{method} {path} {status} {media_type}");
                }
            }
            if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema/$ref") {
                let schema = document
                    .pointer(schema.as_str().unwrap().trim_start_matches('#'))
                    .unwrap();
                assert!(schema.get("examples").is_some(), "{method} {path}");
            }
        }
    }

    #[test]
    fn every_reference_resolves() {
        let (document, text) = (build(), document());
        for reference in text.split("\"$ref\": \"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
