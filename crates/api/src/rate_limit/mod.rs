//! Limits the requests per second of each client at this replica. An authenticated request counts for its
//! customer, before its handler runs; any other, such as one for a page or an unknown path, counts for the
//! client's address.

mod buckets;

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use domain::CustomerId;

use crate::problem::Problem;
use crate::seconds;
use buckets::{Buckets, Client, Usage};

/// `None` does not limit.
pub(crate) struct RateLimit(Option<Buckets>);

impl RateLimit {
    pub(crate) fn new(per_second: Option<u32>) -> Self {
        Self(per_second.map(Buckets::new))
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
        && let Err(problem) = count(request, None)
    {
        response = response.error_response(problem);
    }
    let usage = response.request().extensions().get::<Usage>().copied();
    if let Some(usage) = usage {
        write_headers(usage, response.headers_mut());
    }
    Ok(response)
}

/// Counts a request for its customer, or for its address if it has none; 429 if it exceeds the limit.
pub(crate) fn count(request: &HttpRequest, customer: Option<&CustomerId>) -> Result<(), Problem> {
    let Some(RateLimit(Some(buckets))) = request.app_data::<Data<RateLimit>>().map(|limit| &***limit) else {
        return Ok(());
    };
    let client = match customer {
        Some(customer) => Client::Customer(customer.clone()),
        // Of the connection: headers that name another address are not trusted.
        None => Client::at(request.peer_addr().map(|peer| peer.ip())),
    };
    let usage = buckets.take(client, Instant::now());
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
