//! Limits the requests per second of each client. An authenticated request counts for its customer, before
//! its handler runs, at all replicas together; any other, such as one for a page or an unknown path, counts
//! for the client's address at this replica. A request whose address is known to be of one client counts for
//! it before its token is verified, and no longer once the token is valid: guesses cost no signature.

mod buckets;
mod shared;

use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use domain::CustomerId;

use crate::cache::Cache;
use crate::problem::Problem;
use crate::{proxies, seconds};
use buckets::{Buckets, Client, Usage};
use shared::SharedBuckets;

/// `None` does not limit.
pub(crate) struct RateLimit(Option<Limits>);

struct Limits {
    buckets: Buckets,
    shared: SharedBuckets,
}

impl RateLimit {
    pub(crate) fn new(per_second: Option<u32>, cache: &Arc<Cache>) -> Self {
        Self(per_second.map(|per_second| Limits {
            buckets: Buckets::new(per_second),
            shared: SharedBuckets::new(per_second, Arc::clone(cache)),
        }))
    }
}

/// The middleware. Counts the requests that no extractor has counted, except those for health, and adds the
/// headers.
pub(crate) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let request = response.request();
    let counted = request.extensions().contains::<Usage>();
    let exempt = matches!(request.path(), "/health" | "/health/ready");
    if !counted
        && !exempt
        && let Err(problem) = count_address(request)
    {
        response = response.error_response(problem);
    }
    let usage = response.request().extensions().get::<Usage>().copied();
    if let Some(usage) = usage {
        write_headers(usage, response.headers_mut());
    }
    Ok(response)
}

/// Counts a request for its address before its token is verified; 429 if it exceeds the limit. Whether it was
/// counted: not where the address may be that of many clients.
pub(crate) fn count_early(request: &HttpRequest) -> Result<bool, Problem> {
    let address = limits(request).and_then(|_| proxies::client_address(request));
    if !address.is_some_and(|address| proxies::is_of_one_client(request, address)) {
        return Ok(false);
    }
    count_address(request)?;
    Ok(true)
}

/// Counts a request for its address; 429 if it exceeds the limit.
pub(crate) fn count_address(request: &HttpRequest) -> Result<(), Problem> {
    let Some(limits) = limits(request) else {
        return Ok(());
    };
    record(request, limits.buckets.take(by_address(request), Instant::now()))
}

/// Counts a request for its customer instead of its address, for which it may be `counted`; 429 if it exceeds
/// the limit.
pub(crate) async fn count_customer(
    request: &HttpRequest,
    customer: &CustomerId,
    counted: bool,
) -> Result<(), Problem> {
    let Some(limits) = limits(request) else {
        return Ok(());
    };
    if counted {
        limits.buckets.give_back(&by_address(request));
    }
    let usage = match limits.shared.take(customer).await {
        Some(usage) => usage,
        None => limits
            .buckets
            .take(Client::Customer(customer.clone()), Instant::now()),
    };
    record(request, usage)
}

fn limits(request: &HttpRequest) -> Option<&Limits> {
    request.app_data::<Data<RateLimit>>()?.get_ref().0.as_ref()
}

fn by_address(request: &HttpRequest) -> Client {
    Client::at(proxies::client_address(request))
}

fn record(request: &HttpRequest, usage: Usage) -> Result<(), Problem> {
    request.extensions_mut().insert(usage);
    if usage.exceeded {
        Err(too_many(usage))
    } else {
        Ok(())
    }
}

fn too_many(usage: Usage) -> Problem {
    let (per_second, seconds) = (usage.per_second, reset_seconds(usage));
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("At most {per_second} requests per second are taken. Try again in {seconds} s."),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// `RateLimit` and `RateLimit-Policy`, by draft-ietf-httpapi-ratelimit-headers-10.
fn write_headers(usage: Usage, headers: &mut HeaderMap) {
    let policy = format!("\"default\";q={};w=1", usage.per_second);
    let limit = format!("\"default\";r={};t={}", usage.remaining, reset_seconds(usage));
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// At least 1: a client that retries after 0 seconds would not wait at all.
fn reset_seconds(usage: Usage) -> u64 {
    seconds::rounded_up(usage.reset).max(1)
}
