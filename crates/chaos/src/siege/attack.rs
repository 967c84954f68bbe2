//! The attacks. Each has a bounded rate or number of connections: more traffic than the machine can serve
//! would measure the machine. They go to 127.0.0.1 alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::issuer::Issuer;

/// Tokens that are signed in advance.
const TOKENS: usize = 64;
/// The longest that an attacker waits for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a hostile client does.
#[derive(Debug, Clone, Copy)]
pub enum Attack {
    /// Sends the head of a request byte by byte.
    SlowHeads,
    /// Sends the body of a request byte by byte.
    SlowBodies,
    /// Receives a list of orders 100 bytes a second.
    SlowReaders,
    /// Sends 50 requests at once, and receives the responses 100 bytes a second.
    PipeliningReaders,
    /// Sends JSON that is expensive to refuse.
    BadBodies,
    /// Connects and goes away.
    Connections,
    /// Requests the readiness.
    Readiness,
    /// Sends valid tokens that name keys which the issuer does not have.
    UnknownKeys,
    /// Sends tokens with a wrong signature.
    BadTokens,
    /// Sends heads and bodies beyond every bound.
    Oversized,
}

/// How an attack is repeated.
enum Pace {
    /// Requests per second, each on a connection of its own.
    PerSecond(u32),
    /// Connections that are held, and replaced when the api closes them. Each moves one piece a second.
    Held(usize),
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SlowHeads,
        Self::SlowBodies,
        Self::SlowReaders,
        Self::PipeliningReaders,
        Self::BadBodies,
        Self::Connections,
        Self::Readiness,
        Self::UnknownKeys,
        Self::BadTokens,
        Self::Oversized,
    ];

    /// As the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowHeads => "slow heads",
            Self::SlowBodies => "slow bodies",
            Self::SlowReaders => "slow readers of pages",
            Self::PipeliningReaders => "slow readers that pipeline",
            Self::BadBodies => "bad bodies",
            Self::Connections => "connections",
            Self::Readiness => "readiness requests",
            Self::UnknownKeys => "tokens of unknown keys",
            Self::BadTokens => "bad tokens",
            Self::Oversized => "oversized requests",
        }
    }

    fn pace(self) -> Pace {
        match self {
            Self::SlowHeads | Self::SlowBodies | Self::SlowReaders | Self::PipeliningReaders => {
                Pace::Held(300)
            }
            Self::BadBodies | Self::Oversized => Pace::PerSecond(20),
            Self::Connections | Self::Readiness => Pace::PerSecond(100),
            Self::UnknownKeys | Self::BadTokens => Pace::PerSecond(50),
        }
    }
}

/// The api, and what the attackers have of it.
pub(super) struct Target {
    address: String,
    /// Valid, of one customer.
    token: String,
    /// Valid but for the key that they name.
    unknown_keys: Vec<String>,
}

impl Target {
    pub(super) fn new(url: &str, issuer: &Issuer) -> anyhow::Result<Arc<Self>> {
        let address = url.strip_prefix("http://").context("the api's URL is not http")?;
        let unknown = |number| issuer.token_with(&format!("key-{number}"), "mallory");
        Ok(Arc::new(Self {
            address: address.to_owned(),
            token: issuer.token("mallory"),
            unknown_keys: (0..TOKENS).map(unknown).collect(),
        }))
    }

    /// What a connection sends first.
    fn request(&self, attack: Attack, rng: &mut Rng) -> Vec<u8> {
        let head = |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nhost: siege\r\n{headers}\r\n");
        let authorized = |token: &str, more: &str| format!("authorization: Bearer {token}\r\n{more}");
        let post = |length: usize| {
            let json = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
            head("POST /api/orders", &authorized(&self.token, &json))
        };
        match attack {
            Attack::SlowHeads => "GET / HTTP/1.1\r\nx: ".to_owned(),
            Attack::SlowBodies => post(60_000),
            Attack::SlowReaders => head("GET /api/orders?limit=100", &authorized(&self.token, "")),
            Attack::PipeliningReaders => head("GET /api/nothing", "").repeat(50),
            Attack::BadBodies => {
                let body = match rng.u8(0..4) {
                    0 => format!("{{\"items\":[{}]}}", vec!["{}"; 21_000].join(",")),
                    1 => "[".repeat(60_000),
                    2 => format!("{{\"{}\":1}}", "~".repeat(60_000)),
                    _ => format!("{{\"items\":[{}]}}", vec!["{\"\":0}"; 90].join(",")),
                };
                post(body.len()) + &body
            }
            Attack::Connections => String::new(),
            Attack::Readiness => head("GET /health/ready", ""),
            Attack::UnknownKeys => {
                let token = self
                    .unknown_keys
                    .get(rng.usize(0..TOKENS))
                    .map_or("", String::as_str);
                head("GET /api/orders", &authorized(token, ""))
            }
            Attack::BadTokens => {
                let token = format!("{}{:08x}", self.token, rng.u32(..));
                head("GET /api/orders", &authorized(&token, ""))
            }
            Attack::Oversized => match rng.u8(0..4) {
                0 => head(&format!("GET /{}", "x".repeat(60_000)), ""),
                1 => head("GET /", &format!("x: {}\r\n", "x".repeat(200_000))),
                2 => head("GET /", &"x: y\r\n".repeat(1_000)),
                _ => post(10_000_000_000),
            },
        }
        .into_bytes()
    }

    /// One connection; it ends when the response has come, or when the api closes it.
    async fn attack(&self, attack: Attack, rng: &mut Rng) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(attack, Attack::SlowReaders | Attack::PipeliningReaders) {
            socket.set_recv_buffer_size(4096)?;
        }
        let address = self.address.parse().map_err(std::io::Error::other)?;
        let mut stream = socket.connect(address).await?;
        stream.write_all(&self.request(attack, rng)).await?;
        match attack.pace() {
            Pace::PerSecond(_) if matches!(attack, Attack::Connections) => Ok(()),
            Pace::PerSecond(_) => response(&mut stream).await,
            Pace::Held(_) => hold(&mut stream, attack).await,
        }
    }
}

/// Reads the beginning of the response.
async fn response(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    timeout(RESPONSE_TIMEOUT, stream.read(&mut bytes)).await??;
    Ok(())
}

/// Moves one piece a second until the api closes the connection.
async fn hold(stream: &mut TcpStream, attack: Attack) -> std::io::Result<()> {
    let mut bytes = [0; 100];
    loop {
        sleep(Duration::from_secs(1)).await;
        if matches!(attack, Attack::SlowHeads | Attack::SlowBodies) {
            stream.write_all(b" ").await?;
        } else if stream.read(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// The running attacks. They end when this is dropped.
pub(super) struct Attackers {
    tasks: JoinSet<()>,
    sent: Arc<[AtomicU64]>,
}

pub(super) fn start(target: &Arc<Target>, attacks: &[Attack]) -> Attackers {
    let mut attackers = Attackers {
        tasks: JoinSet::new(),
        sent: attacks.iter().map(|_| AtomicU64::new(0)).collect(),
    };
    for (index, attack) in attacks.iter().copied().enumerate() {
        let (target, sent) = (Arc::clone(target), Arc::clone(&attackers.sent));
        let count = move || {
            if let Some(sent) = sent.get(index) {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        match attack.pace() {
            Pace::Held(connections) => {
                for _ in 0..connections {
                    let (target, count) = (Arc::clone(&target), count.clone());
                    attackers.tasks.spawn(async move {
                        let mut rng = Rng::new();
                        loop {
                            count();
                            // A closed connection is what the api does to attackers.
                            let _ = target.attack(attack, &mut rng).await;
                            sleep(Duration::from_secs(1)).await;
                        }
                    });
                }
            }
            Pace::PerSecond(rate) => {
                attackers.tasks.spawn(async move {
                    let mut ticks = interval(Duration::from_secs(1) / rate);
                    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                    let mut requests = JoinSet::new();
                    loop {
                        ticks.tick().await;
                        while requests.try_join_next().is_some() {}
                        count();
                        let target = Arc::clone(&target);
                        requests.spawn(async move {
                            let _ = target.attack(attack, &mut Rng::new()).await;
                        });
                    }
                });
            }
        }
    }
    attackers
}

impl Attackers {
    /// Ends them; how often each attacked.
    pub(super) fn stop(mut self) -> Vec<u64> {
        self.tasks.abort_all();
        self.sent
            .iter()
            .map(|sent| sent.load(Ordering::Relaxed))
            .collect()
    }
}
