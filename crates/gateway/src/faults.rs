//! Faults on demand. The ledger stays correct under each of them: what a fault interrupts before execution
//! has no effect and leaves the idempotency key unused, and what it does after execution is stored.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::{HttpResponse, ResponseError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::StripeError;
use crate::rate_limit::RateLimit;

const MAX_HANG: Duration = Duration::from_secs(600);
const MAX_LATENCY_MS: u64 = 60_000;
/// A day.
const MAX_PROCESSING_MS: u64 = 86_400_000;

/// The current faults. An absent field is 0, false, or no restriction. Rates are shares from 0 to 1 of the
/// requests to `/v1/payment_intents` and below, each drawn independently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Delay of each request, in milliseconds.
    latency_ms: u64,
    /// Requests that never get a response. They have no effect, and leave their idempotency key unused.
    hang_rate: f64,
    /// Requests that are lost: the connection closes before they have an effect or use their key.
    drop_before_rate: f64,
    /// Requests that get a 500 and have no effect. A POST stores the 500 under its key.
    error_rate: f64,
    /// Requests that charge a card and get a 500, which is stored under their key.
    error_after_charge_rate: f64,
    /// Requests that charge a card and whose response is lost: the connection closes instead.
    drop_after_charge_rate: f64,
    /// Requests that are executed and whose response is lost.
    drop_after_rate: f64,
    /// Restricts the rates to one operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<Operation>,
    /// How many requests the rates hit in all; then they are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// How long a charge stays `processing`, in milliseconds.
    processing_ms: u64,
    /// Requests per second beyond which they get a 429 with `Retry-After`; 0 is no limit.
    rate_limit_per_second: u32,
    /// Rejects every API key with a 401.
    unauthorized: bool,
    /// Forgets all stored results, now and as long as it is true.
    forget_keys: bool,
}

/// The operations of `/v1/payment_intents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Create,
    Confirm,
    Cancel,
    Get,
    List,
}

impl Faults {
    /// Rejects a value out of range by its name.
    pub(crate) fn check(&self) -> Result<(), StripeError> {
        for (name, value, max) in [
            ("latency_ms", self.latency_ms, MAX_LATENCY_MS),
            ("processing_ms", self.processing_ms, MAX_PROCESSING_MS),
        ] {
            if value > max {
                let message = format!("{name} is a number of milliseconds from 0 to {max}.");
                return Err(StripeError::invalid(message).param(name));
            }
        }
        for (name, rate) in [
            ("hang_rate", self.hang_rate),
            ("drop_before_rate", self.drop_before_rate),
            ("error_rate", self.error_rate),
            ("error_after_charge_rate", self.error_after_charge_rate),
            ("drop_after_charge_rate", self.drop_after_charge_rate),
            ("drop_after_rate", self.drop_after_rate),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                let message = format!("{name} is a share of the requests, from 0 to 1.");
                return Err(StripeError::invalid(message).param(name));
            }
        }
        Ok(())
    }

    pub(crate) fn forget_keys(&self) -> bool {
        self.forget_keys
    }

    pub(crate) fn processing(&self) -> Duration {
        Duration::from_millis(self.processing_ms)
    }
}

/// Injects the current [`Faults`].
pub(crate) struct FaultInjector {
    active: Mutex<Active>,
    /// Cancelled when the sandbox stops; ends every hang.
    stopping: CancellationToken,
}

#[derive(Default)]
struct Active {
    faults: Faults,
    /// How many requests the rates have hit.
    hits: u64,
    rate_limit: RateLimit,
}

impl FaultInjector {
    pub(crate) fn new(stopping: CancellationToken) -> Self {
        Self {
            active: Mutex::default(),
            stopping,
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        self.active().faults
    }

    pub(crate) fn replace(&self, faults: Faults) {
        *self.active() = Active {
            faults,
            ..Active::default()
        };
    }

    pub(crate) fn rejects_keys(&self) -> bool {
        self.active().faults.unauthorized
    }

    pub(crate) fn is_over_rate_limit(&self) -> bool {
        let mut active = self.active();
        let per_second = active.faults.rate_limit_per_second;
        per_second > 0 && !active.rate_limit.take(per_second, Instant::now())
    }

    /// Delays, hangs or loses a request before it has an effect.
    pub(crate) async fn before(&self, operation: Operation) -> Result<(), Interruption> {
        let latency = self.faults().latency_ms;
        if latency > 0 {
            sleep(Duration::from_millis(latency)).await;
        }
        if self.hits(operation, |faults| faults.hang_rate) {
            // A client that gives up closes its connection, which drops this future.
            tokio::select! {
                () = sleep(MAX_HANG) => {}
                () = self.stopping.cancelled() => {}
            }
            return Err(Interruption::Error);
        }
        if self.hits(operation, |faults| faults.drop_before_rate) {
            return Err(Interruption::LostConnection);
        }
        Ok(())
    }

    /// Whether the request fails without an effect.
    pub(crate) fn fails(&self, operation: Operation) -> bool {
        self.hits(operation, |faults| faults.error_rate)
    }

    /// Whether the request that charged a card fails.
    pub(crate) fn fails_after_charge(&self, operation: Operation) -> bool {
        self.hits(operation, |faults| faults.error_after_charge_rate)
    }

    /// Whether the response is lost.
    pub(crate) fn loses_response(&self, operation: Operation, charged: bool) -> bool {
        charged && self.hits(operation, |faults| faults.drop_after_charge_rate)
            || self.hits(operation, |faults| faults.drop_after_rate)
    }

    /// True for this share of the calls.
    fn hits(&self, operation: Operation, rate: fn(&Faults) -> f64) -> bool {
        let mut active = self.active();
        let faults = &active.faults;
        let applies = faults.on.is_none_or(|only| only == operation)
            && faults.times.is_none_or(|times| active.hits < times);
        let hit = applies && fastrand::f64() < rate(faults);
        active.hits += u64::from(hit);
        hit
    }

    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request ends before it has an effect. Nothing is stored under its idempotency key.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// 500.
    Error,
    /// No response.
    LostConnection,
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("injected fault")
    }
}

impl Error for Interruption {}

impl ResponseError for Interruption {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Error => StripeError::outage().error_response(),
            Self::LostConnection => lost_response(),
        }
    }
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
        Poll::Ready(Some(Err(io::Error::other(
            "injected fault: the connection is lost",
        ))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injector(json: &str) -> FaultInjector {
        let injector = FaultInjector::new(CancellationToken::new());
        injector.replace(serde_json::from_str(json).unwrap());
        injector
    }

    fn failures(injector: &FaultInjector, operation: Operation) -> usize {
        (0..1_000).filter(|_| injector.fails(operation)).count()
    }

    #[test]
    fn a_rate_of_zero_never_hits_and_a_rate_of_one_always_does() {
        assert_eq!(failures(&injector("{}"), Operation::Create), 0);
        assert_eq!(
            failures(&injector(r#"{"error_rate":1}"#), Operation::Create),
            1_000
        );
        let half = failures(&injector(r#"{"error_rate":0.5}"#), Operation::Create);
        assert!((300..700).contains(&half), "{half}");
    }

    #[test]
    fn the_rates_hit_their_operation_only_and_end_after_their_times() {
        let injector = injector(r#"{"error_rate":1,"on":"confirm","times":2}"#);
        assert_eq!(failures(&injector, Operation::Create), 0);
        assert_eq!(failures(&injector, Operation::Confirm), 2);
    }

    #[test]
    fn a_value_out_of_range_is_rejected_by_its_name() {
        for (json, field) in [
            (r#"{"error_rate":1.1}"#, "error_rate"),
            (r#"{"hang_rate":-0.1}"#, "hang_rate"),
            (r#"{"drop_after_rate":2}"#, "drop_after_rate"),
            (r#"{"latency_ms":60001}"#, "latency_ms"),
            (r#"{"processing_ms":86400001}"#, "processing_ms"),
        ] {
            let faults: Faults = serde_json::from_str(json).unwrap();
            let error = faults.check().unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
        assert!(serde_json::from_str::<Faults>(r#"{"eror_rate":0.1}"#).is_err());
        assert!(serde_json::from_str::<Faults>(r#"{"on":"refund"}"#).is_err());
    }
}
