//! The result of a request that creates, confirms or cancels an intent. It is stored under the request's
//! idempotency key, and makes the same response each time.

use actix_web::{HttpResponse, ResponseError};

use crate::error::StripeError;
use crate::intent::{PaymentIntent, Status, UnexpectedState};

#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// 200, or 402 where the card was declined: the intent after the request.
    Done(PaymentIntent),
    /// 400: the intent, unchanged, whose state does not allow the request.
    Rejected(UnexpectedState, PaymentIntent),
    /// 500: an injected error.
    Failed,
}

impl Outcome {
    pub(crate) fn intent(&self) -> Option<&PaymentIntent> {
        match self {
            Self::Done(intent) | Self::Rejected(_, intent) => Some(intent),
            Self::Failed => None,
        }
    }

    /// Whether the request took money.
    pub(crate) fn is_charged(&self) -> bool {
        matches!(self, Self::Done(intent) if intent.status() == Status::Succeeded)
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let error = match self {
            Self::Done(intent) => match intent.decline() {
                Some((decline, charge)) => StripeError::declined(decline, charge, intent.to_json()),
                None => return HttpResponse::Ok().json(intent.to_json()),
            },
            Self::Rejected(state, intent) => StripeError::unexpected_state(state.message, intent.to_json()),
            Self::Failed => StripeError::outage(),
        };
        error.error_response()
    }
}
