//! The faults that a person can inject into the gateway, Redis and PostgreSQL.

use serde_json::{Value, json};

use crate::part::Part;

/// A fault that a person can inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    GatewaySlow,
    GatewayErrors,
    GatewayHangs,
    ResponsesLost,
    RateLimit,
    WrongKey,
    RedisFlush,
    RedisKill,
    RedisPause,
    JobsLost,
    PostgresRestart,
    ConnectionsEnded,
    OrdersLocked,
}

/// A fault's name in forms, its part, its words, and what the part does while it lasts.
#[rustfmt::skip]
const FAULTS: [(Fault, &str, Part, &str, &str); 13] = {
    use Fault::*;
    use Part::{Gateway, PostgreSql, Redis};
    [
        (GatewaySlow, "gateway-slow", Gateway, "slow: 2 s", "each response takes 2 s longer"),
        (GatewayErrors, "gateway-errors", Gateway, "20 % errors", "responds to 20 % with 500"),
        (GatewayHangs, "gateway-hangs", Gateway, "hangs", "half of the requests get no response"),
        (ResponsesLost, "responses-lost", Gateway, "responses lost", "charges, and loses half of the responses"),
        (RateLimit, "rate-limit", Gateway, "429", "accepts 5 requests/s, and responds 429 beyond"),
        (WrongKey, "wrong-key", Gateway, "wrong key", "rejects the key of the service with 401"),
        (RedisFlush, "redis-flush", Redis, "flush", "loses everything (FLUSHALL)"),
        (RedisKill, "redis-kill", Redis, "kill for 3 s", "killed, started again after 3 s"),
        (RedisPause, "redis-pause", Redis, "pause for 3 s", "paused for 3 s"),
        (JobsLost, "jobs-lost", Redis, "lose one list", "loses the list of waiting jobs"),
        (PostgresRestart, "postgres-restart", PostgreSql, "restart", "restarts"),
        (ConnectionsEnded, "connections-ended", PostgreSql, "end connections", "ends every connection"),
        (OrdersLocked, "orders-locked", PostgreSql, "lock orders for 5 s", "locks the table of orders for 5 s"),
    ]
};

impl Fault {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        FAULTS.into_iter().map(|(fault, ..)| fault)
    }

    pub(crate) fn named(slug: &str) -> Option<Self> {
        Self::all().find(|fault| fault.slug() == slug)
    }

    fn row(self) -> (&'static str, Part, &'static str, &'static str) {
        let row = FAULTS.into_iter().find(|(fault, ..)| *fault == self);
        row.map_or(("", Part::Gateway, "", ""), |(_, slug, part, name, does)| {
            (slug, part, name, does)
        })
    }

    pub(crate) fn slug(self) -> &'static str {
        self.row().0
    }

    pub(crate) fn part(self) -> Part {
        self.row().1
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().2
    }

    /// What its part does while it lasts.
    pub(crate) fn does(self) -> &'static str {
        self.row().3
    }

    /// The fields of `/sandbox/faults`.
    pub(crate) fn gateway_fields(self) -> Value {
        match self {
            Self::GatewaySlow => json!({ "latency_ms": 2000 }),
            Self::GatewayErrors => json!({ "error_rate": 0.2 }),
            Self::GatewayHangs => json!({ "hang_rate": 0.5 }),
            Self::ResponsesLost => json!({ "drop_after_charge_rate": 0.5 }),
            Self::RateLimit => json!({ "rate_limit_per_second": 5 }),
            Self::WrongKey => json!({ "unauthorized": true }),
            _ => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_own_name_and_those_of_the_gateway_have_fields() {
        for fault in Fault::all() {
            assert_eq!(Fault::named(fault.slug()), Some(fault));
            let has_fields = fault.gateway_fields() != json!({});
            assert_eq!(has_fields, fault.part() == Part::Gateway, "{fault:?}");
        }
        assert_eq!(Fault::named("gateway"), None);
    }
}
