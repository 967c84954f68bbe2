//! The handlers of `/sandbox/faults`, the sandbox's only endpoint that Stripe does not have.

use actix_web::web;

use crate::error::StripeError;
use crate::faults::Faults;
use crate::state::Sandbox;

/// `GET /sandbox/faults`
pub(crate) async fn get(sandbox: web::Data<Sandbox>) -> web::Json<Faults> {
    web::Json(sandbox.faults.faults())
}

/// `POST /sandbox/faults`: replaces all of them; `{}` ends every fault.
pub(crate) async fn replace(
    faults: web::Json<Faults>,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Faults>, StripeError> {
    let faults = faults.into_inner();
    faults.check()?;
    sandbox.faults.replace(faults);
    tracing::info!(?faults, "faults changed");
    Ok(web::Json(faults))
}
