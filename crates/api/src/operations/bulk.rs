//! `POST /api/orders/retry` and `/api/orders/cancel`: changes all orders of a filter, or counts them.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::Actor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use store::{Change, Operation, OrderFilter};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::body::JsonBody;
use crate::caller::{Admin, Caller};
use crate::filter::{self, Filter};
use crate::problem::{FieldErrors, Problem};
use crate::state::AppState;

/// Name of the event.
const OPERATION_STARTED: &str = "operation.started";

/// Unlike in an order, `null` is invalid: a filter that a script left empty would change more orders than it
/// was meant to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Request {
    #[serde(deserialize_with = "not_null")]
    status: Option<String>,
    #[serde(deserialize_with = "not_null")]
    payment_status: Option<String>,
    #[serde(deserialize_with = "not_null")]
    failure_code: Option<String>,
    #[serde(deserialize_with = "not_null")]
    created_after: Option<String>,
    #[serde(deserialize_with = "not_null")]
    created_before: Option<String>,
    #[serde(deserialize_with = "not_null")]
    customer: Option<String>,
    dry_run: bool,
}

fn not_null<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

/// The number of orders that a bulk operation would change.
#[derive(Serialize, ToSchema)]
struct Preview {
    #[schema(example = 5000)]
    matched: i64,
}

/// A bulk operation that has begun.
#[derive(Serialize, ToSchema)]
struct Started {
    #[schema(example = 5000)]
    matched: i64,
    /// The operation's id.
    operation: Uuid,
}

/// Retry all failed orders of a filter
///
/// In the background, at most 500 a second. An order that changes before its turn is skipped. With `dry_run`
/// the orders are only counted.
#[utoipa::path(post, path = "/api/orders/retry", tag = "operations", operation_id = "retryOrders",
    request_body(content = ref("#/components/schemas/RetryFilter"), content_type = "application/json"),
    responses(
        (status = 200, description = "The number of orders (`dry_run`)", body = Preview),
        (status = 202, description = "The operation has begun", body = Started, headers(
            ("Location" = String, description = "The operation's path"),
        )),
        (status = 408, description = "The body was not received in time"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The body has invalid fields, each listed in `errors`, or no filter"),
    ),
    security(("bearer" = ["orders:admin"])))]
pub(crate) async fn retry(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Admin>,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    change(Change::Retry, &request, &state, &caller, body).await
}

/// Cancel all pending orders of a filter
///
/// In the background, at most 500 a second. An order that changes before its turn is skipped, and one that
/// has a payment at the gateway does not match. With `dry_run` the orders are only counted.
#[utoipa::path(post, path = "/api/orders/cancel", tag = "operations", operation_id = "cancelOrders",
    request_body(content = ref("#/components/schemas/CancelFilter"), content_type = "application/json"),
    responses(
        (status = 200, description = "The number of orders (`dry_run`)", body = Preview),
        (status = 202, description = "The operation has begun", body = Started, headers(
            ("Location" = String, description = "The operation's path"),
        )),
        (status = 408, description = "The body was not received in time"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The body has invalid fields, each listed in `errors`, or no filter"),
    ),
    security(("bearer" = ["orders:admin"])))]
pub(crate) async fn cancel(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Admin>,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    change(Change::Cancel, &request, &state, &caller, body).await
}

async fn change(
    change: Change,
    request: &HttpRequest,
    state: &AppState,
    caller: &Caller<Admin>,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let body = body.read(request, state, caller).await?;
    let (filter, dry_run) = parse(change, &body)?;
    if dry_run {
        let matched = state.store.count_changeable(change, &filter).await?;
        return Ok(HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(Preview { matched }));
    }
    let operation = start(state, change, &filter, &caller.operator()).await?;
    Ok(HttpResponse::Accepted()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::LOCATION, format!("/api/operations/{}", operation.id)))
        .json(Started {
            matched: operation.matched,
            operation: operation.id,
        }))
}

/// Starts the operation, and records it in the audit trail.
pub(crate) async fn start(
    state: &AppState,
    change: Change,
    filter: &OrderFilter,
    actor: &Actor,
) -> Result<Operation, Problem> {
    let operation = state.store.start_operation(change, filter, actor).await?;
    tracing::info!(
        name: OPERATION_STARTED,
        {
            order.operation.id = %operation.id,
            order.operation.kind = operation.kind,
            order.actor = operation.actor,
        },
        "operation started"
    );
    Ok(operation)
}

/// The filter, and whether its orders are only to be counted.
fn parse(change: Change, body: &[u8]) -> Result<(OrderFilter, bool), Problem> {
    let mut errors = FieldErrors::default();
    let request: Request = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) if error.is_data() => return Err(type_errors(body, &error)),
        Err(error) => return Err(Problem::not_json(&error)),
    };
    let dry_run = request.dry_run;
    let filter = Filter {
        status: request.status,
        payment_status: request.payment_status,
        failure_code: request.failure_code,
        created_after: request.created_after,
        created_before: request.created_before,
        customer: request.customer,
    };
    let filter = filter::of_body(filter, &mut errors);
    if filter.status.is_some_and(|status| status != change.from_status()) {
        errors.add(
            "/status",
            &format!("takes {}: no other orders are changed", change.from_status()),
        );
    }
    if errors.is_empty() && filter.is_empty() {
        let detail = format!(
            "needs a filter: status (\"{}\" for all), payment_status, failure_code, created_after, \
             created_before or customer",
            change.from_status()
        );
        errors.add("", &detail);
    }
    if errors.is_empty() {
        Ok((filter, dry_run))
    } else {
        Err(Problem::invalid(errors))
    }
}

/// The unknown members, and those of another type.
fn type_errors(body: &[u8], first: &serde_json::Error) -> Problem {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Problem::not_json(&error),
    };
    let mut errors = FieldErrors::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if let Err(error) = Request::deserialize(Value::Object(alone)) {
            errors.add_member("", name, &error);
        }
    }
    if errors.is_empty() {
        // Not an object, or a member is repeated.
        errors.add("", first);
    }
    Problem::invalid(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(body: &str) -> String {
        let problem = parse(Change::Retry, body.as_bytes()).unwrap_err();
        String::from_utf8(problem.body("/")).unwrap()
    }

    #[test]
    fn a_body_without_a_filter_is_rejected_with_the_accepted_ones() {
        for body in ["{}", r#"{"dry_run":true}"#] {
            assert!(rejected(body).contains("failure_code, created_after"), "{body}");
        }
        for body in [
            r#"{"status":"failed","customer":null}"#,
            r#"{"status":"failed","dry_run":null}"#,
        ] {
            assert!(rejected(body).contains("invalid type: null"), "{body}");
        }
        let all = parse(Change::Retry, br#"{"status":"failed","dry_run":true}"#).unwrap();
        assert!(all.1 && all.0.status == Some(Change::Retry.from_status()));
    }

    #[test]
    fn every_invalid_filter_is_listed() {
        let body = r#"{"status":"completed","payment_status":"x","failure_code":"A","created_after":"1",
            "created_before":"2026-13-01T00:00:00Z","customer":""}"#;
        let rejected = rejected(body);
        for name in [
            "status",
            "payment_status",
            "failure_code",
            "created_after",
            "created_before",
            "customer",
        ] {
            assert!(rejected.contains(&format!("\"/{name}\"")), "{rejected}");
        }
        let types = self::rejected(r#"{"status":7,"dry_run":"yes","a/b":1,"customer":"ada"}"#);
        for pointer in ["/status", "/dry_run", "/a~1b"] {
            assert!(types.contains(&format!("\"{pointer}\"")), "{types}");
        }
        assert!(
            !types.contains("/customer") && types.contains("unknown field"),
            "{types}"
        );
        assert!(self::rejected(r#"{"status":"failed","status":"failed"}"#).contains("duplicate field"));
        assert!(self::rejected("null").contains("\"pointer\":\"\""));
        for broken in ["[", r#"{"status":7,"#] {
            assert!(self::rejected(broken).contains("not JSON"), "{broken}");
        }
    }
}
