//! `/orders/{id}/retry` and `/cancel`, and the same for many orders: selected ones, changed at once, or all
//! of a filter, changed by an operation.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::{Actor, OrderId};
use store::{Change, OrderFilter};

use super::access::{Act, Action, Operator};
use super::confirmation::{Confirmation, confirm};
use super::page::see_other;
use super::selection::Selection;
use super::words;
use crate::operations::bulk;
use crate::orders::{cancel, retry};
use crate::problem::Problem;
use crate::state::AppState;

/// Orders that one form changes at once; more are an operation.
const MAX_SELECTED: usize = 100;

/// The change that a path ends with.
fn change_of(request: &HttpRequest) -> Change {
    if request.path().ends_with("/cancel") {
        Change::Cancel
    } else {
        Change::Retry
    }
}

pub(super) async fn confirm_one(
    request: HttpRequest,
    state: Data<AppState>,
    operator: Operator<Act>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let order = state.store.find(*id, None).await?;
    let order = order.ok_or_else(Problem::order_not_found)?;
    let amount = words::amount(&order.amount);
    let change = change_of(&request);
    let (text, warning) = match change {
        Change::Retry => {
            let code = order.failure.as_ref().map(|failure| failure.code.as_str());
            let advice = code.map(|code| words::explanation(code).advice.to_owned());
            (
                format!("The order over {amount} is processed again, with as many attempts as a new one."),
                advice,
            )
        }
        Change::Cancel => (
            format!("The order over {amount} is not processed and not charged. This cannot be undone."),
            None,
        ),
    };
    let confirmation = Confirmation {
        title: format!("{} this order?", verb(change)),
        text,
        warning,
        action: request.path().to_owned(),
        button: format!("{} order", verb(change)),
        class: class(change),
        back: format!("/orders/{id}"),
        fields: Vec::new(),
    };
    confirm(&state, &operator, "Orders", confirmation).await
}

pub(super) async fn change_one(
    request: HttpRequest,
    state: Data<AppState>,
    action: Action,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    apply(&state, change_of(&request), *id, &action.operator.actor()).await?;
    Ok(see_other(&format!("/orders/{id}")))
}

pub(super) async fn confirm_many(
    request: HttpRequest,
    state: Data<AppState>,
    operator: Operator<Act>,
    fields: Query<Vec<(String, String)>>,
    filter: Query<Selection>,
) -> Result<HttpResponse, Problem> {
    let change = change_of(&request);
    let selected: Vec<_> = fields
        .into_inner()
        .into_iter()
        .filter(|(name, _)| name == "id")
        .collect();
    let filter = filter.into_inner().without_empty();
    let (count, fields, back) = if selected.is_empty() {
        let orders = required(change, &filter)?;
        let count = state.store.count_changeable(change, &orders).await?;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let fields = filter.fields().map(owned).collect();
        (u64::try_from(count).unwrap_or(0), fields, filter.link("/orders"))
    } else {
        let count = u64::try_from(selected.len()).unwrap_or(u64::MAX);
        (count, selected, "/orders".to_owned())
    };
    if count == 0 {
        return confirm(&state, &operator, "Orders", nothing_to(change, back)).await;
    }
    let change_them = format!("{} {}", verb(change), words::orders(count));
    let confirmation = Confirmation {
        title: format!("{change_them}?"),
        text: text_for_many(change).to_owned(),
        warning: Some("Orders that change meanwhile are skipped.".to_owned()),
        action: request.path().to_owned(),
        button: change_them,
        class: class(change),
        back,
        fields,
    };
    confirm(&state, &operator, "Orders", confirmation).await
}

/// A group of failures stays on its page for a day, also after its orders were retried.
fn nothing_to(change: Change, back: String) -> Confirmation {
    Confirmation {
        title: format!("Nothing to {}", verb(change).to_lowercase()),
        text: format!("No {} order matches any more.", change.from_status()),
        back,
        ..Confirmation::default()
    }
}

fn text_for_many(change: Change) -> &'static str {
    match change {
        Change::Retry => {
            "These failed orders are processed again, with as many attempts as new ones. Payments that were \
             declined are made again."
        }
        Change::Cancel => "These pending orders are not processed and not charged. This cannot be undone.",
    }
}

pub(super) async fn change_many(
    request: HttpRequest,
    state: Data<AppState>,
    action: Action,
) -> Result<HttpResponse, Problem> {
    let (change, actor) = (change_of(&request), action.operator.actor());
    let selected: Vec<&str> = action.fields("id").take(MAX_SELECTED).collect();
    if selected.is_empty() {
        let filter = Selection::of(|name| action.field(name));
        let operation = bulk::start(&state, change, &required(change, &filter)?, &actor).await?;
        return Ok(see_other(&format!("/operations/{}", operation.id)));
    }
    let (mut changed, mut unchanged) = (0, 0);
    for id in selected {
        let id = id.parse().map_err(|_| Problem::order_not_found())?;
        match apply(&state, change, id, &actor).await {
            Ok(()) => changed += 1,
            Err(problem) if problem.is_refusal() => unchanged += 1,
            Err(problem) => return Err(problem),
        }
    }
    Ok(see_other(&format!(
        "/orders?changed={changed}&unchanged={unchanged}"
    )))
}

async fn apply(state: &AppState, change: Change, id: OrderId, actor: &Actor) -> Result<(), Problem> {
    match change {
        Change::Retry => retry::apply(state, id, actor).await.map(drop),
        Change::Cancel => cancel::apply(state, id, None, actor).await,
    }
}

/// The filter of an operation. One that matches all orders is a mistake, and so is one of another status.
fn required(change: Change, filter: &Selection) -> Result<OrderFilter, Problem> {
    let orders = filter.orders()?;
    if orders.is_empty() {
        return Err(Problem::bad_request(
            "Choose a filter first: this would change all orders.",
        ));
    }
    let from = change.from_status();
    if orders.status.is_some_and(|status| status != from) {
        let detail = format!("Only {from} orders can be changed so. Choose that status, or any.");
        return Err(Problem::bad_request(detail));
    }
    Ok(orders)
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Retry => "Retry",
        Change::Cancel => "Cancel",
    }
}

fn class(change: Change) -> &'static str {
    match change {
        Change::Retry => "primary",
        Change::Cancel => "danger",
    }
}
