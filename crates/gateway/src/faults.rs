//! Faults on demand. The ledger stays correct under each of them: an error or a hang comes before the charge
//! and charges nothing; a lost response comes after the charge, and a retry with the same idempotency key
//! finds it.

use std::io;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::StripeError;

const MAX_HANG: Duration = Duration::from_secs(600);
const MAX_LATENCY_MS: u64 = 60_000;

/// Which share of the payments fails, and how. Rates are shares from 0 to 1; an absent field is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Delay before each payment, in milliseconds.
    latency_ms: u64,
    /// Requests that get a 500 and charge nothing.
    error_rate: f64,
    /// Requests that never get a response and charge nothing.
    hang_rate: f64,
    /// Charges whose response is lost: the connection closes instead.
    drop_after_charge_rate: f64,
}

impl Faults {
    /// Rejects a value out of range by its name.
    pub(crate) fn check(&self) -> Result<(), StripeError> {
        if self.latency_ms > MAX_LATENCY_MS {
            let message = format!("latency_ms is a number of milliseconds from 0 to {MAX_LATENCY_MS}.");
            return Err(StripeError::invalid(message).param("latency_ms"));
        }
        for (name, rate) in [
            ("error_rate", self.error_rate),
            ("hang_rate", self.hang_rate),
            ("drop_after_charge_rate", self.drop_after_charge_rate),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                let message = format!("{name} is a share of the requests, from 0 to 1.");
                return Err(StripeError::invalid(message).param(name));
            }
        }
        Ok(())
    }
}

/// Injects the current [`Faults`].
pub(crate) struct FaultInjector {
    faults: RwLock<Faults>,
    /// Cancelled when the sandbox stops; ends every hang.
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

    pub(crate) fn replace(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Delays, hangs or fails a payment before it is charged.
    pub(crate) async fn before_charge(&self) -> Result<(), StripeError> {
        let faults = self.faults();
        if faults.latency_ms > 0 {
            sleep(Duration::from_millis(faults.latency_ms)).await;
        }
        if hits(faults.hang_rate) {
            // A client that gives up closes its connection, which drops this future.
            tokio::select! {
                () = sleep(MAX_HANG) => {}
                () = self.stopping.cancelled() => {}
            }
            return Err(StripeError::outage());
        }
        if hits(faults.error_rate) {
            return Err(StripeError::outage());
        }
        Ok(())
    }

    /// Whether the response of the charge that was just made is lost.
    pub(crate) fn loses_response(&self) -> bool {
        hits(self.faults().drop_after_charge_rate)
    }
}

/// True for this share of the calls.
fn hits(rate: f64) -> bool {
    fastrand::f64() < rate
}

/// A response of which no byte is sent: its body fails before the head is written, so actix closes the
/// connection.
pub(crate) fn lost_response() -> HttpResponse {
    HttpResponse::Ok().body(LostBody)
}

struct LostBody;

impl MessageBody for LostBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let lost = io::Error::other("injected fault: the response is lost after the charge");
        Poll::Ready(Some(Err(lost)))
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
    fn a_value_out_of_range_is_rejected_by_its_name() {
        for (json, field) in [
            (r#"{"error_rate":1.1}"#, "error_rate"),
            (r#"{"hang_rate":-0.1}"#, "hang_rate"),
            (r#"{"latency_ms":60001}"#, "latency_ms"),
        ] {
            let faults: Faults = serde_json::from_str(json).unwrap();
            let error = faults.check().unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
        assert!(serde_json::from_str::<Faults>(r#"{"eror_rate":0.1}"#).is_err());
    }
}
