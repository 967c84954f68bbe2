//! What an operator reads: why an order failed and what to do about it, and what an unfinished order waits
//! for.

use domain::{Money, PaymentMethod, PaymentStatus};

/// A failure in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) what: &'static str,
    pub(super) advice: &'static str,
}

/// `1,500.00 USD`.
pub(super) fn amount(amount: &Money) -> String {
    ui::amount(&amount.to_string(), amount.currency().code())
}

/// `1 order`, `5,000 orders`.
pub(super) fn orders(count: u64) -> String {
    let noun = if count == 1 { "order" } else { "orders" };
    format!("{} {noun}", ui::grouped(count))
}

/// Of each failure code: what happened, and what an operator can do.
pub(super) fn explanation(code: &str) -> Explanation {
    let (what, advice) = match code {
        "card_declined" => (
            "The bank declined the charge.",
            "Retry only after the customer has spoken to the bank: the same card is charged again.",
        ),
        "payment_rejected" => (
            "The gateway rejected the request.",
            "Check the payment token and the gateway's key; a retry without a change is rejected again.",
        ),
        "payment_timeout" => (
            "The gateway sent no response within the timeout.",
            "Retry once the gateway responds. The order has one payment, so it is not charged twice.",
        ),
        "payment_unavailable" => (
            "The gateway was unreachable, or its response was a server error.",
            "Retry once the gateway is available. The order has one payment, so it is not charged twice.",
        ),
        "payment_deadline" => (
            "The gateway stayed unavailable until the order's deadline.",
            "Retry once the gateway is available; PAYMENT_DEADLINE sets the deadline.",
        ),
        "amount_mismatch" => (
            "The amount is not the sum of the items.",
            "Do not retry: the stored order is inconsistent. Report it with its id.",
        ),
        "attempts_exhausted" => (
            "Too many attempts ended without an outcome.",
            "Read the last attempt's trace for the cause, then retry.",
        ),
        "worker_crashed" => (
            "Too many workers in a row died while they processed it.",
            "Do not retry before the workers' logs show why: the order may end the next worker too.",
        ),
        "internal_error" => ("The stored order could not be read.", "Report it with its id."),
        _ => (
            "A newer version of the worker knows this failure.",
            "Read its detail, and the notes of that version.",
        ),
    };
    Explanation { what, advice }
}

/// What an unfinished order waits for: the class of its badge, its name, and the words.
pub(super) fn waiting(reason: &str) -> (&'static str, &'static str, &'static str) {
    match reason {
        "processing" => ("processing", "in work", "a worker processes it now"),
        "gateway" => (
            "pending",
            "gateway",
            "the payment gateway is unavailable; retried by itself",
        ),
        "backoff" => ("pending", "backoff", "the next attempt follows by itself"),
        "dispatch" => ("", "queued", "for a worker to claim it"),
        "paused" => ("warn", "paused", "an operator paused the queue"),
        _ => ("", "other", "a newer version knows what for"),
    }
}

/// The state of a payment.
pub(super) fn payment(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::NotRequired => "no payment",
        PaymentStatus::Pending => "not charged yet",
        PaymentStatus::Charged => "charged",
        PaymentStatus::Refused => "declined",
        PaymentStatus::Cancelled => "no money moved",
    }
}

/// How an order is paid for.
pub(super) fn payment_method(method: PaymentMethod) -> &'static str {
    match method {
        PaymentMethod::CreditCard => "credit card",
        PaymentMethod::DebitCard => "debit card",
        PaymentMethod::Paypal => "PayPal",
    }
}

/// Why a transition was made: a failure code, or what happened to the attempt.
pub(super) fn reason(reason: &str) -> &'static str {
    match reason {
        "lease_expired" => "The worker's lease ended without an outcome.",
        "released" => "The worker stopped, and gave the order back.",
        "unreadable" => "The worker's version cannot read the order.",
        code => explanation(code).what,
    }
}
