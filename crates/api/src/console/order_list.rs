//! `/orders`: filters, selection, and the way to changes of many orders. `/search` finds one by an id.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use domain::{FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::{Sort, UnreadableOrder};
use ui::Moment;

use super::access::{Look, Operator};
use super::frame::Frame;
use super::page::{page, see_other};
use super::selection::Selection;
use super::words;
use crate::problem::Problem;
use crate::state::AppState;

/// Orders on a page.
const ROWS: usize = 50;
/// The value of `sort` that is not the default, as in the API.
const OLDEST_FIRST: &str = "created_at";

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    frame: Frame,
    /// The text that was searched for.
    searched: Option<String>,
    filter: Selection,
    statuses: &'static [OrderStatus],
    payment_statuses: &'static [PaymentStatus],
    codes: &'static [FailureCode],
    rows: Vec<Row>,
    is_oldest_first: bool,
    /// The path of the next page.
    next: Option<String>,
    is_first: bool,
    /// What an action on selected orders did.
    changed: Option<String>,
    may_act: bool,
}

impl OrdersPage {
    /// The path of the first page.
    fn first(&self) -> String {
        page_path(&self.filter, self.is_oldest_first, &[])
    }

    /// The path of the first page in the opposite order.
    fn opposite(&self) -> String {
        page_path(&self.filter, !self.is_oldest_first, &[])
    }
}

struct Row {
    id: String,
    short: String,
    created: Option<Moment>,
    customer: String,
    product: String,
    more_items: usize,
    amount: String,
    status: String,
    payment: &'static str,
    payment_class: &'static str,
    code: String,
    what: &'static str,
    attempts: i32,
    is_changeable: bool,
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    sort: Option<String>,
    cursor: Option<String>,
    changed: Option<String>,
    unchanged: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct SearchQuery {
    q: Option<String>,
}

pub(super) async fn show(
    state: Data<AppState>,
    operator: Operator<Look>,
    filter: Query<Selection>,
    query: Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let filter = filter.into_inner().without_empty();
    let after: Option<OrderId> = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let is_oldest_first = query.sort.as_deref() == Some(OLDEST_FIRST);
    let sort = if is_oldest_first {
        Sort::OldestFirst
    } else {
        Sort::NewestFirst
    };
    // One more than shown tells whether there is another page.
    let mut orders = state.store.list(&filter.orders()?, sort, after, ROWS + 1).await?;
    let has_more = orders.len() > ROWS;
    orders.truncate(ROWS);
    let last = orders.last().filter(|_| has_more).map(id_of);
    let counts = (query.changed.as_deref(), query.unchanged.as_deref());
    let changed = match counts {
        (Some(changed), Some(unchanged)) => changes(changed, unchanged),
        _ => None,
    };
    let shown = OrdersPage {
        next: last.map(|id| page_path(&filter, is_oldest_first, &[("cursor", &id.to_string())])),
        is_first: after.is_none(),
        is_oldest_first,
        changed,
        ..listing(&state, &operator, filter, orders).await
    };
    page("render orders.html", &shown, StatusCode::OK).await
}

pub(super) async fn search(
    state: Data<AppState>,
    operator: Operator<Look>,
    query: Query<SearchQuery>,
) -> Result<HttpResponse, Problem> {
    let text = query.q.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(see_other("/orders"));
    }
    let found = state.store.search(text).await?;
    if let [only] = found.as_slice() {
        return Ok(see_other(&format!("/orders/{}", id_of(only))));
    }
    let is_customer =
        |order: &Result<Order, _>| order.as_ref().is_ok_and(|order| order.customer.as_str() == text);
    if !found.is_empty() && found.iter().all(is_customer) {
        let customer = utf8_percent_encode(text, NON_ALPHANUMERIC);
        return Ok(see_other(&format!("/orders?customer={customer}")));
    }
    let shown = OrdersPage {
        searched: Some(text.to_owned()),
        ..listing(&state, &operator, Selection::default(), found).await
    };
    page("render orders.html", &shown, StatusCode::OK).await
}

async fn listing(
    state: &AppState,
    operator: &Operator<Look>,
    filter: Selection,
    orders: Vec<Result<Order, UnreadableOrder>>,
) -> OrdersPage {
    OrdersPage {
        frame: Frame::of(state, operator, "Orders", "/live/frame").await,
        searched: None,
        filter,
        statuses: OrderStatus::ALL,
        payment_statuses: PaymentStatus::ALL,
        codes: FailureCode::ALL,
        rows: orders.into_iter().map(row).collect(),
        is_oldest_first: false,
        next: None,
        is_first: true,
        changed: None,
        may_act: operator.may_act(),
    }
}

/// The path of a page; the newest orders come first unless it says otherwise.
fn page_path(filter: &Selection, is_oldest_first: bool, others: &[(&str, &str)]) -> String {
    let sort = is_oldest_first.then_some(("sort", OLDEST_FIRST));
    let others: Vec<_> = sort.into_iter().chain(others.iter().copied()).collect();
    filter.path("/orders", &others)
}

/// What the query says of an action on selected orders, if it is two numbers.
fn changes(changed: &str, unchanged: &str) -> Option<String> {
    let (changed, unchanged): (u64, u64) = (changed.parse().ok()?, unchanged.parse().ok()?);
    let others = match unchanged {
        0 => String::new(),
        others => format!("; {} in another state stayed as before", ui::grouped(others)),
    };
    Some(format!("{} changed{others}.", words::orders(changed)))
}

fn id_of(order: &Result<Order, UnreadableOrder>) -> OrderId {
    order
        .as_ref()
        .map_or_else(|unreadable| unreadable.id, |order| order.id)
}

fn row(order: Result<Order, UnreadableOrder>) -> Row {
    let id = id_of(&order).to_string();
    let short = ui::shortened(&id);
    let Ok(order) = order else {
        return Row {
            id,
            short,
            created: None,
            customer: String::new(),
            product: "written by another version, which can read it".to_owned(),
            more_items: 0,
            amount: String::new(),
            status: "unreadable".to_owned(),
            payment: "",
            payment_class: "",
            code: String::new(),
            what: "",
            attempts: 0,
            is_changeable: false,
        };
    };
    let failure = order
        .failure
        .as_ref()
        .filter(|_| order.status != OrderStatus::Completed);
    let code = failure.map_or_else(String::new, |failure| failure.code.as_str().to_owned());
    Row {
        id,
        short,
        created: Some(Moment::recent(order.created_at)),
        customer: order.customer.as_str().to_owned(),
        product: order.product_name().to_owned(),
        more_items: order.items.len().saturating_sub(1),
        amount: words::amount(&order.amount),
        status: order.status.to_string(),
        payment: words::payment(order.payment_status),
        payment_class: order.payment_status.as_str(),
        what: if code.is_empty() {
            ""
        } else {
            words::explanation(&code).what
        },
        code,
        attempts: order.attempt.number(),
        is_changeable: matches!(order.status, OrderStatus::Failed | OrderStatus::Pending),
    }
}
