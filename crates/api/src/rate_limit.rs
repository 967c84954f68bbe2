//! How often one client may ask, at this replica: a bucket that fills steadily and holds one second's worth (the generic cell rate
//! algorithm: one moment a client is all that it needs to remember). Memory is bounded: a client whose bucket is full is forgotten.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpMessage;
use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use domain::CustomerId;

use crate::problem::Problem;

const SHARDS: usize = 16;
/// Clients in one shard. When so many are busy at the same time, newcomers share one bucket.
const CLIENTS: usize = 8 * 1024;
/// How often a full shard looks for clients to forget.
const SWEEP: Duration = Duration::from_millis(100);

/// Whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Who has a good token.
    Customer(CustomerId),
    /// Who has none; an IPv6 network of a /64 counts as one.
    Address(IpAddr),
    /// Everybody that there is no room for.
    Others,
}

impl Client {
    /// By the other end of the connection; headers that name another are not trusted.
    pub(crate) fn address(request: &HttpRequest) -> Self {
        match request.peer_addr().map(|peer| peer.ip()) {
            Some(IpAddr::V6(ip)) => {
                let network = ip.to_bits() >> 64 << 64;
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            Some(ip) => Self::Address(ip),
            None => Self::Others,
        }
    }
}

pub(crate) struct RateLimit {
    per_second: u32,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    /// When each client's bucket will be full again.
    full_at: HashMap<Client, Instant>,
    /// When those with a full bucket were last forgotten.
    swept: Option<Instant>,
}

/// Where a client stands after a request; told in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    per_second: u32,
    remaining: u32,
    /// Until the bucket is full.
    reset: Duration,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Counts this request; 429 where it is one too many. The answer to the request will say where its client stands.
    pub(crate) fn count(&self, request: &HttpRequest, client: Client) -> Result<(), Problem> {
        match self.take(client, Instant::now()) {
            Ok(standing) => {
                request.extensions_mut().insert(standing);
                Ok(())
            }
            Err(wait) => {
                let standing = Standing {
                    per_second: self.per_second,
                    remaining: 0,
                    reset: wait,
                };
                request.extensions_mut().insert(standing);
                Err(too_many(self.per_second, wait))
            }
        }
    }

    /// Takes one from the client's bucket; or says how long until there is one.
    fn take(&self, client: Client, now: Instant) -> Result<Standing, Duration> {
        let interval = Duration::from_secs(1) / self.per_second;
        let mut shard = self.shard(&client);
        let client = shard.make_room(client, now);
        let full_at = shard.full_at.entry(client).or_insert(now);
        let next = (*full_at).max(now) + interval;
        let reset = next - now;
        if let Some(wait) = reset.checked_sub(interval * self.per_second)
            && !wait.is_zero()
        {
            return Err(wait);
        }
        *full_at = next;
        let taken = reset.as_nanos().div_ceil(interval.as_nanos().max(1));
        let taken = u32::try_from(taken).unwrap_or(u32::MAX);
        Ok(Standing {
            per_second: self.per_second,
            remaining: self.per_second.saturating_sub(taken),
            reset,
        })
    }

    fn shard(&self, client: &Client) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(client);
        let [first, ..] = &self.shards;
        let index = usize::try_from(hash).unwrap_or(0) % SHARDS;
        let shard = self.shards.get(index).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// The client, if there is a place for it; those with a full bucket give up theirs.
    fn make_room(&mut self, client: Client, now: Instant) -> Client {
        if self.full_at.len() < CLIENTS || self.full_at.contains_key(&client) {
            return client;
        }
        // Not for each of many newcomers: it looks at every client.
        if self.swept.is_none_or(|at| now >= at + SWEEP) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
        if self.full_at.len() < CLIENTS {
            client
        } else {
            Client::Others
        }
    }
}

fn too_many(per_second: u32, wait: Duration) -> Problem {
    let seconds = whole_seconds(wait);
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        format!("At most {per_second} requests per second are taken. Try again in {seconds} s."),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// Rounded up, at least 1.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0 || time.is_zero())
}

impl Standing {
    /// `RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers-10 writes them.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let policy = format!("\"default\";q={};w=1", self.per_second);
        let standing = format!("\"default\";r={};t={}", self.remaining, whole_seconds(self.reset));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", standing)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(name: &str) -> Client {
        Client::Customer(CustomerId::new(name).unwrap())
    }

    #[test]
    fn a_bucket_holds_a_second_and_fills_steadily() {
        let limit = RateLimit::new(10);
        let start = Instant::now();
        for remaining in (0..10).rev() {
            assert_eq!(limit.take(customer("ada"), start).unwrap().remaining, remaining);
        }
        let wait = limit.take(customer("ada"), start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        assert!(limit.take(customer("grace"), start).is_ok());
        let later = start + Duration::from_millis(100);
        assert_eq!(limit.take(customer("ada"), later).unwrap().remaining, 0);
        assert!(limit.take(customer("ada"), later).is_err());
        let much_later = later + Duration::from_secs(60);
        assert_eq!(limit.take(customer("ada"), much_later).unwrap().remaining, 9);
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share_what_is_left() {
        let limit = RateLimit::new(1);
        let now = Instant::now();
        for address in 0..200_000_u32 {
            let _ = limit.take(Client::Address(IpAddr::V4(address.into())), now);
        }
        let size = || {
            limit
                .shards
                .iter()
                .map(|shard| shard.lock().unwrap().full_at.len())
                .sum::<usize>()
        };
        assert!(size() <= SHARDS * (CLIENTS + 1), "{}", size());
        assert!(limit.take(customer("newcomer"), now).is_err());
        let later = now + Duration::from_secs(2);
        assert!(limit.take(customer("newcomer"), later).is_ok());
    }
}
