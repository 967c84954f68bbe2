//! The parts of the local stack.

use std::fmt;

/// A process of the stack, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Api,
    /// By its number, from 1.
    Worker(u8),
    Gateway,
    Lens,
    PostgreSql,
    Redis,
}

impl Part {
    /// The part in addresses and forms.
    pub(crate) fn slug(self) -> String {
        self.to_string().to_lowercase().replace(' ', "-")
    }

    pub(crate) fn is_worker(self) -> bool {
        matches!(self, Self::Worker(_))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api => f.write_str("api"),
            Self::Worker(number) => write!(f, "worker {number}"),
            Self::Gateway => f.write_str("gateway"),
            Self::Lens => f.write_str("lens"),
            Self::PostgreSql => f.write_str("PostgreSQL"),
            Self::Redis => f.write_str("Redis"),
        }
    }
}
