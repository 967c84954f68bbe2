//! The benchmarks of BENCHMARKS.md: the real programs, built with optimizations, on a private PostgreSQL and
//! Redis, under a load from this process. Compared modes run side by side: the processes of every mode are up
//! all the time, and rounds of one mode alternate with rounds of the others, so that other load on the
//! machine affects all of them. Figures are medians over rounds.
//!
//! | module | content |
//! |---|---|
//! | `price` | creating orders with no, a tenth of, or every trace |
//! | `life` | orders from their creation to their final state |
//! | `events` | up to 50,000 clients that wait for their orders' events |
//! | `backlog` | 100,000 orders that are due at once |
//! | `large` | reads of 10 million orders and 2 million that are due, without and with a held snapshot |
//! | `retention` | a table of 10 million orders: its totals, and pruning beside new orders |
//! | `console` | the operators' pages beside 1 million orders, and 200 open consoles |
//! | `viewer` | spans that lens receives on one core, and its pages, with its memory full |
//! | `exports`, `pages` | telemetry to send; the server time of pages |
//! | `stored` | the table of `large`, `retention` and `console` |
//! | `queues`, `skip_locked` | PostgreSQL alone as a queue, beside PostgreSQL and Redis |
//! | `floor` | the same statements in pgbench: what PostgreSQL alone does a second |
//! | `soak` | a steady rate for a long time: growth and drift |
//! | `fleet` | what more workers and more apis cost PostgreSQL and Redis |
//! | `load`, `client` | a closed loop, an open loop, and their HTTP client |
//! | `environment`, `mode`, `size` | the servers, how much is traced, how much is measured |
//! | `process`, `servers` | CPU time and memory of a process; counters of PostgreSQL and Redis |
//! | `stats`, `table` | quantiles; a printed table |

mod backlog;
mod client;
mod console;
mod environment;
mod events;
mod exports;
mod fleet;
mod floor;
mod large;
mod life;
mod load;
mod mode;
mod pages;
mod price;
mod process;
mod queues;
mod retention;
mod servers;
mod size;
mod skip_locked;
mod soak;
mod stats;
mod stored;
mod table;
mod viewer;

use std::fmt;
use std::str::FromStr;

use environment::Environment;
use testkit::Binaries;

pub use size::Size;

/// One of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benchmark {
    /// The cost of tracing when orders are created.
    Price,
    /// How fast orders become final.
    Life,
    /// How soon clients get an order's events.
    Events,
    /// How fast one worker processes a backlog.
    Backlog,
    /// Reads of a large table, and a held snapshot.
    Large,
    /// Totals and pruning of a large table.
    Retention,
    /// What grows and drifts at a steady rate.
    Soak,
    /// What more processes cost the servers.
    Fleet,
    /// The operators' pages.
    Console,
    /// The receiver and viewer of telemetry.
    Lens,
    /// A queue in PostgreSQL alone.
    Queue,
}

impl Benchmark {
    /// Every benchmark, in the order of BENCHMARKS.md.
    pub const ALL: [Self; 11] = [
        Self::Price,
        Self::Life,
        Self::Events,
        Self::Backlog,
        Self::Large,
        Self::Retention,
        Self::Soak,
        Self::Fleet,
        Self::Console,
        Self::Lens,
        Self::Queue,
    ];
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Price => "price",
            Self::Life => "life",
            Self::Events => "events",
            Self::Backlog => "backlog",
            Self::Large => "large",
            Self::Retention => "retention",
            Self::Soak => "soak",
            Self::Fleet => "fleet",
            Self::Console => "console",
            Self::Lens => "lens",
            Self::Queue => "queue",
        })
    }
}

impl FromStr for Benchmark {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|bench| bench.to_string() == word);
        named.ok_or_else(|| format!("takes {}", Self::ALL.map(|bench| bench.to_string()).join(", ")))
    }
}

/// Runs these benchmarks on these programs, and prints their figures. Without `fsync`, PostgreSQL does not
/// wait for the disk: only for comparison.
///
/// # Errors
/// When a server or a service does not start or responds with an error; never for a slow result.
pub async fn run(
    benchmarks: &[Benchmark],
    size: Size,
    fsync: bool,
    binaries: &Binaries,
) -> anyhow::Result<()> {
    testkit::process::raise_file_limit()?;
    let environment = Environment::start(binaries, fsync).await?;
    println!("{}", process::conditions(size, fsync));
    for benchmark in benchmarks {
        match benchmark {
            Benchmark::Price => price::run(&environment, size).await?,
            Benchmark::Life => life::run(&environment, size).await?,
            Benchmark::Events => events::run(&environment, size).await?,
            Benchmark::Backlog => backlog::run(&environment, size).await?,
            Benchmark::Large => large::run(&environment, size).await?,
            Benchmark::Retention => retention::run(&environment, size).await?,
            Benchmark::Soak => soak::run(&environment, size).await?,
            Benchmark::Fleet => fleet::run(&environment, size).await?,
            Benchmark::Console => console::run(&environment, size).await?,
            Benchmark::Lens => viewer::run(&environment, size).await?,
            Benchmark::Queue => queues::run(&environment, size).await?,
        }
    }
    Ok(())
}
