//! The running control room: its tasks and its server.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::audit::Audit;
use crate::faults::Faults;
use crate::load::{Load, Token};
use crate::servers;
use crate::system::System;
use crate::tail;
use crate::walk::Walk;
use crate::web::{self, Door, Parts, Server, Shared};

/// How often faults end, and the walk is followed.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often processes are measured, and pages refreshed.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// How long the walk waits for PostgreSQL before it says so.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than a response of the api or the gateway under the faults that a person can inject.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// What the control room needs to know of the stack.
pub struct Options {
    /// The token of a customer for the load; `None` where the api needs none.
    pub token: Token,
    /// How long the orders of a killed worker wait at most.
    pub lease: Duration,
}

/// A running control room. Dropping it ends it; the stack runs on.
pub struct Room {
    server: Server,
    /// Dropped with it.
    _tasks: JoinSet<()>,
}

impl Room {
    /// Opens the room. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When the server cannot start.
    pub fn start(door: Door, system: Arc<System>, options: Options) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(HTTP_TIMEOUT)
            .build()?;
        let faults = Arc::new(Faults::new(system.clone(), http.clone()));
        let load = Arc::new(Load::new(&system.api, options.token, http.clone()));
        let audit = Arc::new(Audit::new(system.clone(), load.clone(), http));
        let walk = Walk::new(system.clone(), faults.clone(), load.clone(), audit.clone());
        let mut tasks = JoinSet::new();
        for (part, log) in system.logs() {
            let system = system.clone();
            tasks.spawn(async move { tail::follow(part, &log, &system.journal).await });
        }
        tasks.spawn(load.clone().run());
        let counted = audit.clone();
        tasks.spawn(async move { counted.run().await });
        let parts = Parts {
            system,
            faults,
            load,
            audit,
            walk,
            lease: options.lease,
        };
        let shared = Arc::new(Shared::new(parts, door.keys));
        let attended = shared.clone();
        tasks.spawn(async move { attend(&attended).await });
        let versioned = shared.clone();
        tasks.spawn(async move {
            versioned.set_versions(servers::versions(&versioned.parts.system).await);
        });
        let shown = shared.clone();
        tasks.spawn(async move { show(&shown).await });
        Ok(Self {
            server: Server::start(door.listener, shared)?,
            _tasks: tasks,
        })
    }

    /// Ends it: pages lose their connection.
    pub async fn close(self) {
        self.server.stop().await;
    }
}

/// Ends faults, and follows the walk. Never returns.
async fn attend(shared: &Shared) {
    loop {
        shared.parts.faults.expire().await;
        let followed = timeout(READ_TIMEOUT, shared.parts.walk.refresh()).await;
        let trouble = match followed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some("PostgreSQL does not respond".to_owned()),
        };
        shared.set_walk_trouble(trouble);
        sleep(INTERVAL).await;
    }
}

/// Shows on open pages what is known. Never returns.
async fn show(shared: &Shared) {
    loop {
        web::refresh(shared);
        sleep(SHOW_INTERVAL).await;
    }
}
