//! A load balancer in front of the api's replicas, as a Kubernetes Service is: it sends requests to replicas
//! that are ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

/// Pause between two readiness checks.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub(crate) struct LoadBalancer {
    urls: [String; 2],
    ready: Arc<[AtomicBool; 2]>,
    /// Replicas that are about to stop.
    drained: Arc<[AtomicBool; 2]>,
    /// Ends the readiness checks when the last clone is dropped.
    _probe: Arc<JoinSet<()>>,
}

impl LoadBalancer {
    pub(crate) fn start(urls: [String; 2], http: reqwest::Client) -> Self {
        let ready = Arc::new([true, true].map(AtomicBool::new));
        let mut probing = JoinSet::new();
        probing.spawn(probe(urls.clone(), ready.clone(), http));
        Self {
            urls,
            ready,
            drained: Arc::default(),
            _probe: Arc::new(probing),
        }
    }

    /// The replicas for the `number`th request, in the order in which to try them: ready ones first.
    pub(crate) fn route(&self, number: u32) -> impl Iterator<Item = &str> {
        let first = usize::from(number % 2 == 1);
        let mut order = [first, 1 - first];
        order.sort_by_key(|replica| !self.is_ready(*replica));
        let urls = order.map(|replica| self.urls.get(replica));
        urls.into_iter().flatten().map(String::as_str)
    }

    /// Sends the replica no new requests from now on (`true`), or again once it is ready: the purpose of a
    /// `preStop` hook. Without it, a busy machine may probe less often than the api's drain delay needs.
    pub(crate) fn drain(&self, replica: usize, drained: bool) {
        if let Some(flag) = self.drained.get(replica) {
            flag.store(drained, Ordering::Relaxed);
        }
    }

    fn is_ready(&self, replica: usize) -> bool {
        let is = |flags: &[AtomicBool; 2]| {
            flags
                .get(replica)
                .is_some_and(|flag| flag.load(Ordering::Relaxed))
        };
        is(&self.ready) && !is(&self.drained)
    }
}

async fn probe(urls: [String; 2], ready: Arc<[AtomicBool; 2]>, http: reqwest::Client) {
    loop {
        for (url, ready) in urls.iter().zip(ready.iter()) {
            let request = http.get(format!("{url}/health/ready")).timeout(PROBE_TIMEOUT);
            let is_ready = request
                .send()
                .await
                .is_ok_and(|response| response.status().is_success());
            ready.store(is_ready, Ordering::Relaxed);
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}
