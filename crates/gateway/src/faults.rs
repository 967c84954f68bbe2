//! Misbehaviour on demand. Whatever is injected, the ledger stays right: an error or a hang comes before the charge and leaves
//! nothing charged; a lost answer comes after it, and a retry under the same key finds it.

use std::io;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::StripeError;
use crate::startup::Sandbox;

/// How long a hung request is held at most.
const HANG: Duration = Duration::from_secs(600);
const MAX_LATENCY_MS: u64 = 60_000;

/// Which part of the payments goes wrong, and how. A field that is left out is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Added before every payment is made, in milliseconds.
    latency_ms: u64,
    /// The part of requests, 0 to 1, that is answered 500 and charges nothing.
    error_rate: f64,
    /// The part of requests, 0 to 1, that is never answered and charges nothing.
    hang_rate: f64,
    /// The part of charges, 0 to 1, whose answer is lost: the connection closes instead.
    drop_after_charge_rate: f64,
}

/// Injects what [`Faults`] says at this moment.
pub(crate) struct FaultInjector {
    faults: RwLock<Faults>,
    /// Ends what hangs when the sandbox does.
    stopping: CancellationToken,
}

impl FaultInjector {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self {
            faults: RwLock::default(),
            stopping,
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// What happens to a payment before it is made.
    pub(crate) async fn before_charge(&self) -> Result<(), StripeError> {
        let faults = self.faults();
        if faults.latency_ms > 0 {
            sleep(Duration::from_millis(faults.latency_ms)).await;
        }
        if hits(faults.hang_rate) {
            // A client that gives up closes its connection, which drops this future.
            tokio::select! {
                () = sleep(HANG) => {}
                () = self.stopping.cancelled() => {}
            }
            return Err(StripeError::outage());
        }
        match hits(faults.error_rate) {
            true => Err(StripeError::outage()),
            false => Ok(()),
        }
    }

    /// Whether the answer of a charge that was just made is lost.
    pub(crate) fn loses_answer(&self) -> bool {
        hits(self.faults().drop_after_charge_rate)
    }
}

/// True for this part of the calls.
fn hits(rate: f64) -> bool {
    // The first 32 bits of a random UUID are all random.
    let (random, ..) = Uuid::new_v4().as_fields();
    f64::from(random) / 2_f64.powi(32) < rate
}

// === the answer that is lost ===

/// An answer of which not one byte is sent: its body fails before the head has left, so the connection is closed.
pub(crate) fn lost_answer() -> HttpResponse {
    HttpResponse::Ok().body(LostBody)
}

struct LostBody;

impl MessageBody for LostBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<bytes::Bytes, io::Error>>> {
        let lost = io::Error::other("injected fault: the answer is lost after the charge");
        std::task::Poll::Ready(Some(Err(lost)))
    }
}

// === handlers ===

/// `GET /sandbox/faults`
pub(crate) async fn show(sandbox: web::Data<Sandbox>) -> web::Json<Faults> {
    web::Json(sandbox.faults.faults())
}

/// `POST /sandbox/faults`: replaces them all; `{}` ends the misbehaviour.
pub(crate) async fn set(
    faults: web::Json<Faults>,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Faults>, StripeError> {
    let faults = faults.into_inner();
    check(&faults)?;
    sandbox.faults.set(faults);
    tracing::info!(?faults, "faults changed");
    Ok(web::Json(faults))
}

fn check(faults: &Faults) -> Result<(), StripeError> {
    if faults.latency_ms > MAX_LATENCY_MS {
        let message = format!("latency_ms is a number of milliseconds from 0 to {MAX_LATENCY_MS}.");
        return Err(StripeError::invalid(message).param("latency_ms"));
    }
    let rates = [
        ("error_rate", faults.error_rate),
        ("hang_rate", faults.hang_rate),
        ("drop_after_charge_rate", faults.drop_after_charge_rate),
    ];
    match rates.iter().find(|(_, rate)| !(0.0..=1.0).contains(rate)) {
        Some((name, _)) => {
            let message = format!("{name} is a part of the requests, from 0 to 1.");
            Err(StripeError::invalid(message).param(name))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_zero_never_hits_and_a_rate_of_one_always_does() {
        assert!((0..1_000).all(|_| !hits(0.0) && hits(1.0)));
        let half = (0..10_000).filter(|_| hits(0.5)).count();
        assert!((4_000..6_000).contains(&half), "{half}");
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_its_name() {
        for (json, field) in [
            (r#"{"error_rate":1.1}"#, "error_rate"),
            (r#"{"hang_rate":-0.1}"#, "hang_rate"),
            (r#"{"latency_ms":60001}"#, "latency_ms"),
        ] {
            let error = check(&serde_json::from_str(json).unwrap()).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
        assert!(serde_json::from_str::<Faults>(r#"{"eror_rate":0.1}"#).is_err());
    }
}
