//! The operators' console: pages that the server renders, which work without scripts where they only show.
//! Scripts replace their live parts as they change, and show confirmations in place.

#![allow(
    dead_code,
    unused_imports,
    reason = "the pages of orders, which use the rest, follow"
)]

mod access;
mod live;
mod moment;
mod overview;
mod page;
mod sign_in;
mod words;

pub(crate) use live::{Live, refresh};

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{Resource, web};

use crate::deadline;
use crate::resource::{get, resource};

/// Adds the pages.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(shown(resource("/", "GET, HEAD").route(get(overview::show))))
        .service(shown(
            resource("/sign-in", "GET, HEAD, POST")
                .route(get(sign_in::show))
                .post(sign_in::sign_in),
        ))
        .service(shown(resource("/sign-out", "POST").post(sign_in::sign_out)))
        .service(web::scope("/live").configure(live::configure));
}

/// A page: in time, and with errors as pages.
fn shown(page: Resource) -> impl HttpServiceFactory {
    page.wrap(from_fn(deadline::enforce))
        .wrap(from_fn(page::show_errors))
}
