//! The handlers of `/v1/payment_intents`.

use std::ops::RangeInclusive;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::execute;
use super::span::{record_intent, record_order};
use crate::admission::Admitted;
use crate::error::StripeError;
use crate::faults::Operation;
use crate::form::Form;
use crate::idempotency::IdempotencyKey;
use crate::intent::{IntentId, PaymentIntent};
use crate::ledger::Ledger;
use crate::parameters::{CancelIntent, ConfirmIntent, CreateIntent};
use crate::state::Sandbox;

pub(crate) const PATH: &str = "/v1/payment_intents";

/// `POST /v1/payment_intents`
pub(crate) async fn create(
    _: Admitted,
    request: HttpRequest,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request, &form)?;
    let parameters = CreateIntent::from_form(&form)?;
    record_order(&parameters.metadata);
    let create = |ledger: &Ledger, processing| Some(ledger.create(parameters, processing));
    execute::post(&sandbox, Operation::Create, key, create).await
}

/// `POST /v1/payment_intents/{id}/confirm`
pub(crate) async fn confirm(
    _: Admitted,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request, &form)?;
    let parameters = ConfirmIntent::from_form(&form)?;
    let id = intent_id(&id)?;
    let confirm = |ledger: &Ledger, processing| ledger.confirm(id, &parameters, processing);
    execute::post(&sandbox, Operation::Confirm, key, confirm).await
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(crate) async fn cancel(
    _: Admitted,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request, &form)?;
    let parameters = CancelIntent::from_form(&form)?;
    let id = intent_id(&id)?;
    let cancel = |ledger: &Ledger, _| ledger.cancel(id, &parameters);
    execute::post(&sandbox, Operation::Cancel, key, cancel).await
}

/// `GET /v1/payment_intents/{id}`
pub(crate) async fn get(
    _: Admitted,
    id: web::Path<String>,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let id = intent_id(&id)?;
    let find = || {
        let intent = sandbox
            .ledger
            .get(id)
            .ok_or_else(StripeError::payment_not_found)?;
        record_order(intent.metadata());
        Ok(intent.to_json())
    };
    execute::get(&sandbox, Operation::Get, find).await
}

/// `GET /v1/payment_intents`: every intent, newest first.
pub(crate) async fn list(
    _: Admitted,
    request: HttpRequest,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    execute::get(&sandbox, Operation::List, || page(&request, &sandbox)).await
}

/// The page of the list that the query selects.
pub(super) fn page(request: &HttpRequest, sandbox: &Sandbox) -> Result<Value, StripeError> {
    let query = Form::parse(request.query_string().as_bytes());
    query.only(&["created", "limit", "starting_after"])?;
    let limit = query.integer("limit", 1..=100)?.unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(100);
    let created = created_range(&query)?;
    let no_such_intent = || StripeError::no_such_payment("starting_after");
    let parse = |id: &str| IntentId::parse(id).ok_or_else(no_such_intent);
    let starting_after = query.get("starting_after").map(parse).transpose()?;
    let page = sandbox
        .ledger
        .list(limit, &created, starting_after)
        .ok_or_else(no_such_intent)?;
    let data: Vec<Value> = page.intents.iter().map(PaymentIntent::to_json).collect();
    Ok(json!({
        "object": "list",
        "url": PATH,
        "has_more": page.has_more,
        "data": data,
    }))
}

fn intent_id(text: &str) -> Result<IntentId, StripeError> {
    let id = IntentId::parse(text).ok_or_else(StripeError::payment_not_found)?;
    record_intent(id);
    Ok(id)
}

/// `created`, `created[gte]`, `created[gt]`, `created[lte]` and `created[lt]`: Unix times in seconds.
fn created_range(query: &Form) -> Result<RangeInclusive<i64>, StripeError> {
    let time = |name: &str| query.integer(name, 0..=i64::from(u32::MAX));
    let (mut first, mut last) = match time("created")? {
        Some(time) => (time, time),
        None => (i64::MIN, i64::MAX),
    };
    for (bound, _) in query.map("created") {
        let time = time(&format!("created[{bound}]"))?.unwrap_or_default();
        match bound {
            "gte" => first = first.max(time),
            "gt" => first = first.max(time + 1),
            "lte" => last = last.min(time),
            "lt" => last = last.min(time - 1),
            _ => return Err(StripeError::unknown_parameter(&["gte", "gt", "lte", "lt"])),
        }
    }
    Ok(first..=last)
}
