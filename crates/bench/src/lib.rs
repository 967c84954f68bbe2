//! The benchmarks of BENCHMARKS.md: the real programs, built with optimizations, on a PostgreSQL and a Redis of their own, under a
//! load from this process. What is compared runs side by side: every mode's processes are up all the time, and rounds of one mode
//! alternate with rounds of the others, so that whatever else the machine does meets all of them. Figures are medians over rounds.
//!
//! | module | what |
//! |---|---|
//! | `price` | creating orders without tracing, with a part of it and with all of it, and PostgreSQL's own floor |
//! | `life` | orders from their creation to their final state |
//! | `events` | 10,000 clients that wait for their orders' events |
//! | `backlog` | 100,000 orders that are due at once |
//! | `load`, `client` | the load: a closed loop, an open loop, and the HTTP client of both |
//! | `process`, `stats`, `table` | CPU time and memory of a process; quantiles; how it is printed |

mod backlog;
mod client;
mod events;
mod life;
mod load;
mod mode;
mod price;
mod process;
mod stats;
mod table;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use testkit::{Binaries, Postgres, Redis};

/// One of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benchmark {
    /// What tracing costs when orders are created.
    Price,
    /// How fast orders become final.
    Life,
    /// How soon clients are told of it.
    Events,
    /// How steadily a worker catches up.
    Backlog,
}

impl Benchmark {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Price, Self::Life, Self::Events, Self::Backlog];
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Price => "price",
            Self::Life => "life",
            Self::Events => "events",
            Self::Backlog => "backlog",
        })
    }
}

impl FromStr for Benchmark {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|bench| bench.to_string() == word);
        named.ok_or_else(|| "takes price, life, events or backlog".to_owned())
    }
}

/// How long it all takes.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How often each mode is measured.
    pub rounds: usize,
    /// How long one measurement takes.
    pub measure: Duration,
    /// How many clients wait for events.
    pub waiting: usize,
    /// How many orders are due at once.
    pub backlog: i32,
}

impl Size {
    /// What BENCHMARKS.md quotes: about six minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        measure: Duration::from_secs(5),
        waiting: 10_000,
        backlog: 100_000,
    };
    /// Whether it runs at all: some seconds.
    pub const SHORT: Self = Self {
        rounds: 1,
        measure: Duration::from_secs(1),
        waiting: 200,
        backlog: 1_000,
    };
}

/// What the processes run on.
pub(crate) struct Servers {
    postgres: Postgres,
    redis: Redis,
}

/// Runs these benchmarks on these programs, and prints what they find.
///
/// # Errors
/// When a server or a service does not start, or answers otherwise than it should. Never for being slow.
pub async fn run(benchmarks: &[Benchmark], size: Size, binaries: &Binaries) -> anyhow::Result<()> {
    process::raise_file_limit()?;
    let servers = Servers {
        postgres: Postgres::start().await?,
        redis: Redis::start().await?,
    };
    println!("{}", process::conditions(size));
    for benchmark in benchmarks {
        match benchmark {
            Benchmark::Price => price::run(&servers, size, binaries).await?,
            Benchmark::Life => life::run(&servers, size, binaries).await?,
            Benchmark::Events => events::run(&servers, size, binaries).await?,
            Benchmark::Backlog => backlog::run(&servers, size, binaries).await?,
        }
    }
    Ok(())
}
