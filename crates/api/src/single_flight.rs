//! Requests for the same value at the same time share one computation of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

#[derive(Default)]
pub(crate) struct SingleFlight(Mutex<HashMap<String, Weak<OnceCell<String>>>>);

impl SingleFlight {
    /// The result of `compute`, or of the one under way for `key`. If that fails or its request is dropped,
    /// one of those that wait computes instead.
    pub(crate) async fn run<E>(
        &self,
        key: &str,
        compute: impl Future<Output = Result<String, E>>,
    ) -> Result<String, E> {
        let flight = self.join(key);
        let result = flight.get_or_try_init(|| compute).await.cloned();
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights
            .get(key)
            .is_some_and(|other| other.as_ptr() == Arc::as_ptr(&flight))
        {
            flights.remove(key);
        }
        result
    }

    fn join(&self, key: &str) -> Arc<OnceCell<String>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        // Those whose requests were all dropped.
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert(key.to_owned(), Arc::downgrade(&flight));
        flight
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn requests_at_the_same_time_share_one_computation() {
        let (flights, runs) = (SingleFlight::default(), Cell::new(0));
        let request = async |key| {
            let compute = async {
                sleep(SECOND).await;
                runs.set(runs.get() + 1);
                Ok::<_, ()>(runs.get().to_string())
            };
            flights.run(key, compute).await.unwrap()
        };
        assert_eq!(join_all((0..100).map(|_| request("a"))).await, vec!["1"; 100]);
        assert_eq!(tokio::join!(request("a"), request("b")), ("2".into(), "3".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_or_a_dropped_request_another_one_computes() {
        let flights = SingleFlight::default();
        let fails = flights.run("a", async { Err::<String, _>(()) });
        let slow = flights.run("a", async {
            sleep(SECOND).await;
            Ok::<_, ()>("slow".to_owned())
        });
        let (failed, dropped) = tokio::join!(fails, timeout(SECOND / 2, slow));
        assert!(failed.is_err() && dropped.is_err());
        let works = flights.run("a", async { Ok::<_, ()>("value".to_owned()) });
        assert_eq!(works.await, Ok("value".to_owned()));
        assert!(flights.0.lock().unwrap().is_empty());
    }
}
