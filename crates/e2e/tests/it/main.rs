//! The whole product as real processes: api, worker, gateway, PostgreSQL, Redis, and an OTLP receiver. `Shop`
//! starts all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod caller;
mod chaos;
mod configuration;
mod console;
mod control_room;
mod drill;
mod failover;
mod gateway;
mod least_privilege;
mod lens;
mod load;
mod operator;
mod orders;
mod outages;
mod overload;
mod releases;
mod restore;
mod retries;
mod rotation;
mod shop;
mod shutdown;
mod siege;
mod start_up;
mod telemetry;
mod traces;
mod upgrade;
