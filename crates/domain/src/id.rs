//! The identifiers that every crate uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An order's id: a UUIDv7 (RFC 9562), so that ids sort by the time of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id with the current time.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as PostgreSQL stores it.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for OrderId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The owner of orders: the `sub` of the caller's token (RFC 7519, section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CustomerId(String);

/// The customer id is empty, longer than 255 bytes, or has control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a customer id has 1 to 255 bytes and no control characters")]
pub struct InvalidCustomerId;

impl CustomerId {
    /// The one customer of a service that runs without authentication.
    pub fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// Accepts 1 to 255 bytes without control characters.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidCustomerId> {
        let id = id.into();
        if id.is_empty() || id.len() > 255 || id.chars().any(char::is_control) {
            return Err(InvalidCustomerId);
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The number of an attempt at an order, from 1; 0 before the first. Only a claim for the next number
/// succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(i32);

impl Attempt {
    /// No worker has claimed the order yet.
    pub const NONE: Self = Self(0);
    /// The first claim.
    pub const FIRST: Self = Self(1);

    /// The attempt with this number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, from 0.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The attempt after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
