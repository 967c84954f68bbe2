//! Which orders may visit the payment gateway, and when. A gateway that is unavailable, slow or overloaded
//! makes orders wait in PostgreSQL; it neither fails them nor delays orders without a payment.

mod breaker;
mod gate;
mod pacer;
#[cfg(test)]
mod simulation;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::breaker::{Change, Health, Ticket};
use self::gate::{Gate, REQUESTS_PER_VISIT, spread};
use super::error::CallError;

/// An attempt waits so long for a place.
const PLACE_TIMEOUT: Duration = Duration::from_millis(250);
/// A request of a visit that has begun waits so long for the gateway's rate.
const MAX_WAIT_WITHIN_VISIT: Duration = Duration::from_secs(5);

/// Decides for all attempts of this worker.
#[derive(Debug)]
pub(super) struct Admission {
    gate: Mutex<Gate>,
    /// The bulkhead: places for visits. The rest of the worker's concurrency is for orders that need no
    /// gateway.
    places: Semaphore,
}

/// The order comes back after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComeBackAfter(pub(super) Duration);

impl Admission {
    /// `concurrency`: of the worker. `max_per_second`: requests to the gateway.
    pub(super) fn new(concurrency: usize, max_per_second: Option<u32>) -> Self {
        Self {
            gate: Mutex::new(Gate::new(max_per_second, Instant::now())),
            places: Semaphore::new((concurrency * 3 / 4).max(1)),
        }
    }

    /// Whether the circuit breaker is closed.
    pub(super) fn is_open(&self) -> bool {
        self.gate().is_open()
    }

    /// Requests per second that this worker allows itself, unless they are unlimited.
    pub(super) fn rate(&self) -> Option<f64> {
        self.gate().rate()
    }

    /// Admits an order that has waited for `waited`. Takes at most half a second.
    pub(super) async fn enter(&self, waited: Duration) -> Result<Visit<'_>, ComeBackAfter> {
        if let Some(delay) = self.gate().refuses(waited, Instant::now()) {
            return Err(ComeBackAfter(delay));
        }
        let place = timeout(PLACE_TIMEOUT, self.places.acquire()).await;
        let Ok(Ok(place)) = place else {
            return Err(ComeBackAfter(spread(Duration::ZERO)));
        };
        let (ticket, wait) = self.gate().admit(waited, Instant::now()).map_err(ComeBackAfter)?;
        let visit = Visit {
            admission: self,
            _place: place,
            ticket,
            progress: Mutex::new(Progress {
                health: Health::Unknown,
                permits: REQUESTS_PER_VISIT,
            }),
        };
        pause(wait).await;
        Ok(visit)
    }

    /// When an order comes back whose visit was not successful.
    pub(super) fn delay(&self, waited: Duration) -> Duration {
        self.gate().delay(waited, Instant::now())
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place at the gateway. Its requests are sent through [`Visit::send`], and count as one visit for the
/// breaker.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    admission: &'a Admission,
    _place: SemaphorePermit<'a>,
    ticket: Ticket,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    health: Health,
    /// Requests for which the visit has permits.
    permits: u32,
}

impl Visit<'_> {
    /// Sends a request, as soon as the gateway's rate allows it.
    pub(super) async fn send<T>(
        &self,
        request: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.permit().await?;
        let sent_at = Instant::now();
        let result = request.await;
        let (now, error) = (Instant::now(), result.as_ref().err());
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.health = progress.health.max(error.map_or(Health::Available, health));
        match error {
            Some(CallError::RateLimited(retry_after)) => {
                self.admission.gate().limited(sent_at, *retry_after, now);
            }
            error if error.is_none_or(|error| !error.is_outage()) => self.admission.gate().accepted(now),
            _ => {}
        }
        result
    }

    async fn permit(&self) -> Result<(), CallError> {
        let has_permit = {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            let permits = progress.permits;
            progress.permits = permits.saturating_sub(1);
            permits > 0
        };
        let wait = self
            .admission
            .gate()
            .wait(has_permit, MAX_WAIT_WITHIN_VISIT, Instant::now());
        pause(wait.ok_or(CallError::NoPermit)?).await;
        Ok(())
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        let change = self
            .admission
            .gate()
            .leave(self.ticket, progress.health, Instant::now());
        match change {
            Some(Change::Opened) => {
                tracing::warn!("the payment gateway is unavailable: orders with a payment wait");
            }
            Some(Change::Closed) => tracing::info!("the payment gateway is available again"),
            None => {}
        }
    }
}

/// Waits, unless there is nothing to wait for: tokio's timer rounds up to a millisecond or two.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// What an error says about the gateway. A 429 counts as unavailable: a gateway that accepts a part of the
/// requests does not open the breaker, one that accepts none does.
fn health(error: &CallError) -> Health {
    match error {
        CallError::CredentialsRejected => Health::Rejecting,
        CallError::NoPermit => Health::Unknown,
        error if error.is_outage() => Health::Unavailable,
        _ => Health::Available,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    async fn visit(admission: &Admission, result: Result<(), CallError>) {
        let visit = admission.enter(Duration::ZERO).await.unwrap();
        let _ = visit.send(async { result }).await;
    }

    #[tokio::test]
    async fn a_quarter_of_the_concurrency_is_left_to_orders_without_a_payment() {
        let admission = Admission::new(8, None);
        let mut visits = Vec::new();
        for _ in 0..6 {
            visits.push(admission.enter(Duration::ZERO).await.unwrap());
        }
        let ComeBackAfter(delay) = admission.enter(Duration::ZERO).await.unwrap_err();
        assert!(
            delay >= Duration::from_millis(500) && delay <= Duration::from_secs(1),
            "{delay:?}"
        );
        visits.pop();
        assert!(admission.enter(Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn an_admitted_visit_and_its_requests_wait_for_no_timer() {
        let admission = Admission::new(8, None);
        let visit = admission.enter(Duration::ZERO).now_or_never().unwrap().unwrap();
        for _ in 0..=REQUESTS_PER_VISIT {
            let sent = visit.send(async { Ok(()) }).now_or_never();
            assert!(sent.is_some_and(|sent| sent.is_ok()));
        }
    }

    #[tokio::test]
    async fn a_gateway_that_is_unavailable_gets_no_further_visits() {
        let admission = Admission::new(64, None);
        for _ in 0..5 {
            visit(&admission, Err(CallError::Timeout)).await;
        }
        assert!(!admission.is_open());
        let ComeBackAfter(delay) = admission.enter(Duration::from_secs(10)).await.unwrap_err();
        // The probe's interval, and half to all of the 10 s.
        assert!(
            delay > Duration::from_secs(5) && delay < Duration::from_secs(11),
            "{delay:?}"
        );
    }

    #[tokio::test]
    async fn declined_cards_and_rejected_requests_do_not_open_the_breaker() {
        let admission = Admission::new(64, None);
        for _ in 0..30 {
            visit(&admission, Err(CallError::NotFound)).await;
            visit(&admission, Err(CallError::InFlight)).await;
        }
        assert!(admission.is_open());
    }

    /// Half of the requests succeed, but no visit does.
    #[tokio::test]
    async fn a_gateway_that_only_creates_intents_opens_the_breaker() {
        let admission = Admission::new(64, None);
        for _ in 0..5 {
            let visit = admission.enter(Duration::ZERO).await.unwrap();
            visit.send(async { Ok(()) }).await.unwrap();
            visit
                .send(async { Err::<(), _>(CallError::Unreachable) })
                .await
                .unwrap_err();
        }
        assert!(!admission.is_open());
    }

    #[tokio::test]
    async fn a_429_pauses_all_visits_for_the_time_of_its_retry_after() {
        let admission = Admission::new(64, None);
        visit(
            &admission,
            Err(CallError::RateLimited(Some(Duration::from_secs(7)))),
        )
        .await;
        assert!(admission.is_open());
        let ComeBackAfter(delay) = admission.enter(Duration::ZERO).await.unwrap_err();
        assert!(delay > Duration::from_secs(6), "{delay:?}");
        assert!(admission.rate().is_some());
    }
}
