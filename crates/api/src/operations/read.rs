//! `GET /api/operations` and `GET /api/operations/{id}`: who did what, when, and how far it is.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::OperationBody;
use crate::caller::{Caller, Observe};
use crate::problem::Problem;
use crate::state::AppState;

/// Operations in a list.
const LIMIT: usize = 50;

/// The newest operations.
#[derive(Serialize, ToSchema)]
struct Operations {
    data: Vec<OperationBody>,
}

/// List the newest 50 operations
#[utoipa::path(get, path = "/api/operations", tag = "operations", operation_id = "listOperations",
    responses((status = 200, description = "The newest operations, newest first", body = Operations)),
    security(("bearer" = ["orders:observe"])))]
pub(crate) async fn list(state: Data<AppState>, _: Caller<Observe>) -> Result<HttpResponse, Problem> {
    let operations = state.store.operations(LIMIT).await?;
    let data = operations.into_iter().map(OperationBody::from).collect();
    Ok(respond(&Operations { data }))
}

/// Read an operation, and how far it is
#[utoipa::path(get, path = "/api/operations/{id}", tag = "operations", operation_id = "readOperation",
    params(("id" = Uuid, Path, description = "The operation's id")),
    responses(
        (status = 200, description = "The operation as it is now", body = OperationBody),
        (status = 404, description = "The operation does not exist"),
    ),
    security(("bearer" = ["orders:observe"])))]
pub(crate) async fn read(
    state: Data<AppState>,
    _: Caller<Observe>,
    id: Path<String>,
) -> Result<HttpResponse, Problem> {
    let not_found = || Problem::new(StatusCode::NOT_FOUND, "There is no such operation.");
    let id: Uuid = id.parse().map_err(|_| not_found())?;
    let operation = state.store.operation(id).await?.ok_or_else(not_found)?;
    Ok(respond(&OperationBody::from(operation)))
}

fn respond(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}
