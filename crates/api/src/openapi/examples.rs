//! An example for each request and response of the document.

use serde_json::{Map, Value, json};

const ID: &str = "019b0a3e-7c1f-7d52-9a41-5b1f0e6c2d10";
const OPERATION: &str = "019b0a4b-11d0-7c4e-8f7e-2f6d1a9b3c55";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Adds them to the operation of a path. A response without a body needs none, and a problem's is in its
/// schema.
pub(super) fn add(path: &str, operation: &mut Value, schemas: &Map<String, Value>) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let content = response.get_mut("content").and_then(Value::as_object_mut);
        for (_, media) in content.into_iter().flatten() {
            let reference = media.pointer("/schema/$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.rsplit('/').next());
            let example =
                name.and_then(|name| of_schema(name).or_else(|| schemas.get(name)?.get("example").cloned()));
            let example = example.or_else(|| health(path, status));
            if let (Some(media), Some(example)) = (media.as_object_mut(), example) {
                media.entry("example").or_insert(example);
            }
        }
    }
}

fn health(path: &str, status: &str) -> Option<Value> {
    let checks = |postgresql: &str, schema: &str| json!({ "postgresql": postgresql, "redis": "ok", "schema": schema, "queue": "running" });
    match (path, status) {
        ("/health", _) => Some(json!({ "status": "ok" })),
        ("/health/ready", "200") => Some(json!({ "status": "ok", "checks": checks("ok", "ok") })),
        ("/health/ready", _) => Some(json!({
            "status": "unavailable",
            "checks": checks("unavailable", "unavailable"),
        })),
        _ => None,
    }
}

fn of_schema(name: &str) -> Option<Value> {
    Some(match name {
        "Order" => order(),
        "Page" => json!({ "data": [order()], "next_cursor": "AZsKPnwffVKaQVsfDmwtEA" }),
        "Analytics" => json!({
            "total_orders": 3,
            "pending_orders": 1,
            "by_status": [
                { "status": "completed", "currency": "EUR", "count": 2, "amount": "199.96" },
                { "status": "pending", "currency": "JPY", "count": 1, "amount": "700" },
            ],
        }),
        "Event" => json!({
            "id": "1769860800000000",
            "data": "{\"order_id\":\"019b0a3e-7c1f-7d52-9a41-5b1f0e6c2d10\",\"status\":\"completed\",\"attempt\":1,\
                \"payment_status\":\"charged\",\"failure\":null,\"updated_at\":\"2026-01-31T12:00:01.250000Z\"}",
        }),
        "Preview" => json!({ "matched": 5000 }),
        "Started" => json!({ "matched": 5000, "operation": OPERATION }),
        "Operation" => operation(),
        "Operations" => json!({ "data": [operation()] }),
        _ => return None,
    })
}

fn order() -> Value {
    json!({
        "id": ID,
        "product_name": "Widget",
        "items": [{ "product_name": "Widget", "quantity": 2, "unit_price": "49.99" }],
        "amount": "99.98",
        "currency": "EUR",
        "status": "completed",
        "payment_method": "credit_card",
        "payment_status": "charged",
        "payment_id": "pi_3PqK0aLkdIwHu7ix0sZbT1aC",
        "attempt": 1,
        "failure": null,
        "trace_id": TRACE,
        "created_at": "2026-01-31T12:00:00.000000Z",
        "updated_at": "2026-01-31T12:00:01.250000Z",
        "completed_at": "2026-01-31T12:00:01.250000Z",
    })
}

fn operation() -> Value {
    json!({
        "id": OPERATION,
        "kind": "retry",
        "actor": "operator:ada",
        "filter": { "status": "failed", "failure_code": "payment_deadline" },
        "matched": 5000,
        "done": 4998,
        "skipped": 2,
        "created_at": "2026-01-31T12:30:00.000000Z",
        "finished_at": "2026-01-31T12:30:12.500000Z",
    })
}
