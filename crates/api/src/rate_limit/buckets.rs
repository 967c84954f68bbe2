//! One token bucket per client: it holds one second's requests and refills steadily. By the generic cell rate
//! algorithm, the time at which a bucket is full is all that is stored. Memory is bounded: a client whose
//! bucket is full is forgotten. The crate `governor` does not bound the number of clients, and does not
//! report the time until a bucket is full, which the header needs.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::CustomerId;

const SHARDS: usize = 16;
/// Further clients share one bucket per shard.
const CLIENTS_PER_SHARD: usize = 8 * 1024;
/// Minimum time between two sweeps of a full shard. A sweep visits every client.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// The owner of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Client {
    Customer(CustomerId),
    /// An IPv6 network of a /64 counts as one address.
    Address(IpAddr),
    /// All clients without a known address, or without room in a full shard.
    Others,
}

impl Client {
    pub(super) fn at(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V6(ip)) => {
                let network = ip.to_bits() >> 64 << 64;
                Self::Address(Ipv6Addr::from_bits(network).into())
            }
            Some(ip) => Self::Address(ip),
            None => Self::Others,
        }
    }
}

pub(super) struct Buckets {
    per_second: u32,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    /// The time at which each client's bucket is full again.
    full_at: HashMap<Client, Instant>,
    swept_at: Option<Instant>,
}

/// A client's bucket after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) per_second: u32,
    pub(super) remaining: u32,
    /// Until the bucket is full or, if the request exceeded the limit, until the next one is taken.
    pub(super) reset: Duration,
    pub(super) exceeded: bool,
}

impl Buckets {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Takes one token from the client's bucket, if there is one.
    pub(super) fn take(&self, client: Client, now: Instant) -> Usage {
        let interval = Duration::from_secs(1) / self.per_second;
        let usage = |remaining, reset, exceeded| Usage {
            per_second: self.per_second,
            remaining,
            reset,
            exceeded,
        };
        let mut shard = self.shard(&client);
        let client = shard.make_room(client, now);
        let full_at = shard.full_at.entry(client).or_insert(now);
        let next = (*full_at).max(now) + interval;
        let reset = next - now;
        if let Some(wait) = reset.checked_sub(interval * self.per_second)
            && !wait.is_zero()
        {
            return usage(0, wait, true);
        }
        *full_at = next;
        usage(remaining(self.per_second, reset), reset, false)
    }

    /// Gives a taken token back.
    pub(super) fn give_back(&self, client: &Client) {
        let interval = Duration::from_secs(1) / self.per_second;
        if let Some(full_at) = self.shard(client).full_at.get_mut(client)
            && let Some(before) = full_at.checked_sub(interval)
        {
            *full_at = before;
        }
    }

    #[expect(
        clippy::as_conversions,
        clippy::indexing_slicing,
        reason = "the remainder is an index; which bits of the hash it uses does not matter"
    )]
    fn shard(&self, client: &Client) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(client) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens in a bucket that is full after `reset`.
pub(super) fn remaining(per_second: u32, reset: Duration) -> u32 {
    let interval = Duration::from_secs(1) / per_second.max(1);
    let taken = reset.as_nanos().div_ceil(interval.as_nanos().max(1));
    per_second.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
}

impl Shard {
    /// The client if it has a bucket or there is room for one, else [`Client::Others`]. Forgets clients with
    /// a full bucket.
    fn make_room(&mut self, client: Client, now: Instant) -> Client {
        if self.full_at.len() < CLIENTS_PER_SHARD || self.full_at.contains_key(&client) {
            return client;
        }
        if self.swept_at.is_none_or(|at| now >= at + SWEEP_INTERVAL) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept_at = Some(now);
        }
        if self.full_at.len() < CLIENTS_PER_SHARD {
            client
        } else {
            Client::Others
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
        let buckets = Buckets::new(10);
        let start = Instant::now();
        for remaining in (0..10).rev() {
            let usage = buckets.take(customer("ada"), start);
            assert_eq!((usage.remaining, usage.exceeded), (remaining, false));
        }
        let exceeded = buckets.take(customer("ada"), start);
        assert_eq!(
            (exceeded.reset, exceeded.exceeded),
            (Duration::from_millis(100), true)
        );
        assert!(!buckets.take(customer("grace"), start).exceeded);
        let later = start + Duration::from_millis(100);
        assert_eq!(buckets.take(customer("ada"), later).remaining, 0);
        assert!(buckets.take(customer("ada"), later).exceeded);
        buckets.give_back(&customer("ada"));
        assert!(!buckets.take(customer("ada"), later).exceeded);
        let much_later = later + Duration::from_secs(60);
        assert_eq!(buckets.take(customer("ada"), much_later).remaining, 9);
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share_what_is_left() {
        let buckets = Buckets::new(1);
        let now = Instant::now();
        for address in 0..200_000_u32 {
            buckets.take(Client::Address(IpAddr::V4(address.into())), now);
        }
        let sizes = buckets
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().full_at.len());
        let size: usize = sizes.sum();
        assert!(size <= SHARDS * (CLIENTS_PER_SHARD + 1), "{size}");
        assert!(buckets.take(customer("newcomer"), now).exceeded);
        let later = now + Duration::from_secs(2);
        assert!(!buckets.take(customer("newcomer"), later).exceeded);
    }
}
