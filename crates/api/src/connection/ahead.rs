//! What a client has sent beyond the request that is served: bounded over all connections.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of an incomplete request head that any connection may hold. actix holds 128 KiB at most.
const FREE_HEAD: usize = 4 * 1024;
/// What actix holds of a request that it has read but not begun to serve, in bytes (measured: 4.8 KB). It
/// reads as many as fit into 128 KiB.
const WAITING_REQUEST: usize = 5 * 1024;
/// Bytes of long heads and of waiting requests that all connections together may hold.
const MAX_AHEAD: usize = 8 * 1024 * 1024;

/// What a client has sent ahead: an incomplete head, and complete ones of requests that wait for those before
/// them. A blank line within a body counts as the end of a head, which costs only its sender.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    requests: Cell<usize>,
    /// Bytes since the end of the last head.
    partial: Cell<usize>,
    /// Whether the last line has ended, so that another end of a line is the end of the head.
    line_ended: Cell<bool>,
}

/// The bytes that all connections hold.
static AHEAD: AtomicUsize = AtomicUsize::new(0);

impl Ahead {
    /// Whether there is room for these bytes. While a request is `served`, they may be its body.
    pub(super) fn grow(&self, bytes: &[u8], served: bool) -> bool {
        let before = self.held();
        for byte in bytes {
            self.partial.set(self.partial.get() + 1);
            if *byte == b'\n' && self.line_ended.replace(true) {
                self.requests.set(self.requests.get() + 1);
                self.partial.set(0);
                self.line_ended.set(false);
            } else if !matches!(byte, b'\n' | b'\r') {
                self.line_ended.set(false);
            }
        }
        if served {
            self.partial.set(0);
        }
        self.charge(before)
    }

    /// A request is no longer ahead: it is served.
    pub(super) fn serve(&self) {
        let before = self.held();
        self.requests.set(self.requests.get().saturating_sub(1));
        self.charge(before);
    }

    /// All requests are served.
    pub(super) fn clear_requests(&self) {
        let before = self.held();
        self.requests.set(0);
        self.charge(before);
    }

    fn held(&self) -> usize {
        let requests = self
            .requests
            .get()
            .saturating_sub(1)
            .saturating_mul(WAITING_REQUEST);
        requests + self.partial.get().saturating_sub(FREE_HEAD)
    }

    /// Charges the difference to what was held before. False if that is more than all may hold.
    fn charge(&self, before: usize) -> bool {
        let now = self.held();
        if now > before {
            let more = now - before;
            AHEAD.fetch_add(more, Ordering::Relaxed) + more <= MAX_AHEAD
        } else {
            if before > now {
                AHEAD.fetch_sub(before - now, Ordering::Relaxed);
            }
            true
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        AHEAD.fetch_sub(self.held(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_send_ahead_shares_a_budget_and_is_given_back() {
        let short = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\n";
        let clients: Vec<Ahead> = (0..10_000).map(|_| Ahead::default()).collect();
        assert!(clients.iter().all(|ahead| ahead.grow(&[b'x'; FREE_HEAD], false)));
        let count = |bytes: &[u8]| {
            clients
                .iter()
                .take_while(|ahead| ahead.grow(bytes, false))
                .count()
        };
        assert_eq!(count(&[b'x'; FREE_HEAD]), MAX_AHEAD / FREE_HEAD);
        drop(clients);
        assert_eq!(AHEAD.load(Ordering::Relaxed), 0);

        let clients: Vec<Ahead> = (0..10_000).map(|_| Ahead::default()).collect();
        let pipelining = clients
            .iter()
            .take_while(|ahead| short.iter().all(|byte| ahead.grow(&[*byte], false)));
        assert_eq!(pipelining.count(), MAX_AHEAD / WAITING_REQUEST);
        clients.iter().for_each(Ahead::serve);
        assert_eq!(AHEAD.load(Ordering::Relaxed), 0);
        assert!(clients[0].grow(&[b'x'; 64 * 1024], true), "a body");
        assert_eq!(AHEAD.load(Ordering::Relaxed), 0);
    }
}
