//! Limits the total time of a request, including a slow body. A handler that waits on purpose extends its
//! deadline.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use tokio::time::{Instant, sleep_until};

use crate::problem::Problem;
use crate::state::AppState;

/// When a request times out. Each request to a resource that is wrapped in [`enforce`] has one.
pub(crate) struct Deadline {
    at: Cell<Instant>,
    reading: Cell<bool>,
}

impl Deadline {
    fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        request.extensions().get::<Rc<Self>>().cloned()
    }

    /// For a handler that is about to wait for `by`.
    pub(crate) fn extend(request: &HttpRequest, by: Duration) {
        if let Some(deadline) = Self::of(request) {
            deadline.at.set(deadline.at.get() + by);
        }
    }

    /// While the service reads the body, a missed deadline is the client's fault: 408 instead of 503.
    pub(crate) fn set_reading(request: &HttpRequest, reading: bool) {
        if let Some(deadline) = Self::of(request) {
            deadline.reading.set(reading);
        }
    }

    async fn passed(&self) {
        loop {
            let at = self.at.get();
            sleep_until(at).await;
            if self.at.get() == at {
                return;
            }
        }
    }

    fn problem(&self) -> Problem {
        if self.reading.get() {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "The body was not received in time.").closing()
        } else {
            tracing::warn!("the request timed out");
            Problem::unavailable("The request took too long. Try again.")
        }
    }
}

/// The middleware. It clones the request, which actix only allows below routing, so it wraps resources.
pub(crate) async fn enforce(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(state) = request.app_data::<Data<AppState>>() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let deadline = Rc::new(Deadline {
        at: Cell::new(Instant::now() + state.http.request_timeout),
        reading: Cell::new(false),
    });
    request.extensions_mut().insert(Rc::clone(&deadline));
    let handle = request.request().clone();
    tokio::select! {
        response = next.call(request) => Ok(response?.map_into_boxed_body()),
        () = deadline.passed() => Ok(ServiceResponse::from_err(deadline.problem(), handle)),
    }
}
