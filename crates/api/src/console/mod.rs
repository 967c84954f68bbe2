//! The operators' console: pages that the server renders, which work without scripts where they only show.
//! Scripts replace their live parts as they change, and show confirmations in place.

mod access;
mod changes;
mod confirmation;
mod failures;
mod frame;
mod jobs;
mod live;
mod operations;
mod order_detail;
mod order_list;
mod overview;
mod page;
mod selection;
mod series;
mod sign_in;
mod words;
mod workers;

pub(crate) use live::{Live, refresh};

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{Resource, web};

use crate::deadline;
use crate::resource::{get, resource};

const SHOWS: &str = "GET, HEAD";
const CHANGES: &str = "GET, HEAD, POST";

/// Adds the pages.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(shown(resource("/", SHOWS).route(get(overview::show))))
        .service(shown(resource("/orders", SHOWS).route(get(order_list::show))))
        .service(shown(resource("/search", SHOWS).route(get(order_list::search))))
        .service(shown(many("/orders/retry")))
        .service(shown(many("/orders/cancel")))
        .service(shown(
            resource("/orders/{id}", SHOWS).route(get(order_detail::show)),
        ))
        .service(shown(one("/orders/{id}/retry")))
        .service(shown(one("/orders/{id}/cancel")))
        .service(shown(resource("/failures", SHOWS).route(get(failures::show))))
        .service(shown(resource("/queue", SHOWS).route(get(jobs::show))))
        .service(shown(
            resource("/queue/pause", CHANGES)
                .route(get(jobs::confirm_pause))
                .post(jobs::pause),
        ))
        .service(shown(
            resource("/queue/resume", CHANGES)
                .route(get(jobs::confirm_resume))
                .post(jobs::resume),
        ))
        .service(shown(resource("/operations", SHOWS).route(get(operations::show))))
        .service(shown(
            resource("/operations/{id}", SHOWS).route(get(operations::show_one)),
        ))
        .service(shown(
            resource("/sign-in", CHANGES)
                .route(get(sign_in::show))
                .post(sign_in::sign_in),
        ))
        .service(shown(resource("/sign-out", "POST").post(sign_in::sign_out)))
        .service(web::scope("/live").configure(live::configure));
}

/// A change of one order: its confirmation, and the change.
fn one(path: &str) -> Resource {
    resource(path, CHANGES)
        .route(get(changes::confirm_one))
        .post(changes::change_one)
}

/// A change of many orders.
fn many(path: &str) -> Resource {
    resource(path, CHANGES)
        .route(get(changes::confirm_many))
        .post(changes::change_many)
}

/// A page: in time, and with errors as pages.
fn shown(page: Resource) -> impl HttpServiceFactory {
    page.wrap(from_fn(deadline::enforce))
        .wrap(from_fn(page::show_errors))
}
