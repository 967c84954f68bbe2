//! The running stack. Each part has its own lock: one can start while another is killed.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use testkit::{Postgres, Redis, Service, Signal, Stack};
use tokio::time::sleep;

use crate::journal::Journal;
use crate::member::{Member, Process, State, Status};
use crate::part::Part;

const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// A part that ends so soon after an action of a person may have ended because of it.
const AFTERMATH: Duration = Duration::from_secs(60);

/// The servers that the services use. What the stack did not start has no process here, and is left alone.
#[derive(Debug)]
pub struct Servers {
    /// The PostgreSQL of the stack.
    pub postgres: Option<Postgres>,
    /// The Redis of the stack.
    pub redis: Option<Redis>,
    /// The URL of the database, as the services use it.
    pub database_url: String,
    /// The URL of Redis, as the services use it.
    pub redis_url: String,
}

/// The running stack. Dropping it stops everything.
#[derive(Debug)]
pub struct System {
    /// In the order in which they stop.
    members: Vec<Member>,
    pub(crate) journal: Journal,
    pub(crate) api: String,
    pub(crate) gateway: String,
    pub(crate) lens: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    acted_at: Mutex<Option<Instant>>,
}

/// What a person does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// SIGTERM; for PostgreSQL a fast shutdown.
    Stop,
    Start,
    /// SIGKILL
    Kill,
    /// SIGSTOP
    Pause,
    /// SIGCONT
    Continue,
}

impl System {
    /// Takes over the stacks. The second one of a service is its second replica.
    pub fn new(stacks: Vec<Stack>, servers: Servers) -> anyhow::Result<Self> {
        let first = stacks.first().context("a stack")?;
        let [api, gateway, lens] =
            [Service::Api, Service::Gateway, Service::Lens].map(|service| first.url(service));
        let mut members = Vec::new();
        let mut workers = 0;
        for (service, stack) in stacks.into_iter().flat_map(Stack::split) {
            let part = match service {
                Service::Api => Part::Api,
                Service::Gateway => Part::Gateway,
                Service::Lens => Part::Lens,
                Service::Worker => {
                    workers += 1;
                    Part::Worker(workers)
                }
            };
            let log = stack.logs().join(format!("{service}.log"));
            members.push(Member::new(part, Some(log), Process::Service(service, stack)));
        }
        if let Some(redis) = servers.redis {
            members.push(Member::new(Part::Redis, redis.log(), Process::Redis(redis)));
        }
        if let Some(postgres) = servers.postgres {
            let log = Some(postgres.log());
            members.push(Member::new(Part::PostgreSql, log, Process::Postgres(postgres)));
        }
        members.sort_by_key(|member| stop_order(member.part));
        Ok(Self {
            members,
            journal: Journal::default(),
            api,
            gateway,
            lens,
            database_url: servers.database_url,
            redis_url: servers.redis_url,
            acted_at: Mutex::default(),
        })
    }

    /// The name of each running process and its id.
    pub fn pids(&self) -> Vec<(String, i32)> {
        let running = self.members.iter().filter_map(|member| {
            let name = match member.part {
                Part::PostgreSql | Part::Redis => member.part.to_string(),
                Part::Worker(_) => Service::Worker.to_string(),
                service => format!("throughline-{service}"),
            };
            Some((name, member.status().pid?))
        });
        running.collect()
    }

    /// Waits until a part ends by itself; returns its name, exit status and last log lines. A part that a
    /// person stopped did not, and one that ends in the aftermath of a person's action is only shown.
    ///
    /// # Errors
    /// When the status of a process cannot be read.
    pub async fn part_ended(&self) -> anyhow::Result<String> {
        loop {
            for member in &self.members {
                let Some(how) = member.ended()? else { continue };
                if !self.is_disturbed() {
                    return Ok(how);
                }
                member.change(State::Ended(how.clone()), None);
                let first = how.lines().next().unwrap_or_default().trim_end_matches(':');
                self.journal.event(Some(member.part), first);
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Stops all of it in order, and waits until it has ended.
    ///
    /// # Errors
    /// When a part cannot be signalled.
    pub async fn stop(&self) -> anyhow::Result<()> {
        for member in &self.members {
            member.process.lock().await.stop().await?;
            member.change(State::Stopped, None);
        }
        Ok(())
    }

    /// The parts, in the order in which they are shown.
    pub(crate) fn statuses(&self) -> Vec<(Part, Status)> {
        let mut all: Vec<_> = self
            .members
            .iter()
            .map(|member| (member.part, member.status().clone()))
            .collect();
        all.sort_by_key(|(part, _)| *part);
        all
    }

    /// The part with this slug.
    pub(crate) fn part(&self, slug: &str) -> Option<Part> {
        let mut parts = self.members.iter().map(|member| member.part);
        parts.find(|part| part.slug() == slug)
    }

    pub(crate) fn has(&self, part: Part) -> bool {
        self.members.iter().any(|member| member.part == part)
    }

    /// The log file of each part.
    pub(crate) fn logs(&self) -> Vec<(Part, PathBuf)> {
        let logs = self.members.iter();
        logs.filter_map(|member| Some((member.part, member.log.clone()?)))
            .collect()
    }

    /// Does it to the part, and waits until it is done.
    ///
    /// # Errors
    /// When its state does not allow it, or it fails; the message is for a person.
    pub(crate) async fn act(&self, part: Part, act: Act) -> anyhow::Result<()> {
        self.disturb();
        let member = self.members.iter().find(|member| member.part == part);
        let member = member.with_context(|| format!("this stack did not start {part}"))?;
        let Ok(mut process) = member.process.try_lock() else {
            bail!("{part} is starting or stopping: try again in a moment");
        };
        let is_up = matches!(member.status().state, State::Running | State::Paused);
        if is_up == (act == Act::Start) {
            let does = if is_up { "runs already" } else { "does not run" };
            bail!("{part} {does}");
        }
        match act {
            Act::Start => {
                member.change(State::Starting, None);
                self.journal.event(Some(part), format!("{part} started"));
                let started = process.start().await;
                let state = match &started {
                    Ok(()) => State::Running,
                    Err(error) => State::Ended(format!("{error:#}")),
                };
                member.change(state, process.pid());
                member.status().restarts += 1;
                started
            }
            Act::Stop => {
                member.change(State::Stopping, process.pid());
                self.journal.event(Some(part), format!("{part} stopped"));
                let stopped = process.stop().await;
                member.change(State::Stopped, None);
                stopped
            }
            Act::Kill => {
                self.journal.event(Some(part), format!("{part} killed"));
                let killed = process.kill().await;
                member.change(State::Killed, None);
                killed
            }
            Act::Pause => {
                process.signal(Signal::STOP)?;
                member.change(State::Paused, process.pid());
                self.journal.event(Some(part), format!("{part} paused"));
                Ok(())
            }
            Act::Continue => {
                process.signal(Signal::CONT)?;
                member.change(State::Running, process.pid());
                self.journal.event(Some(part), format!("{part} continued"));
                Ok(())
            }
        }
    }

    /// A person acts: what ends now may end because of that.
    pub(crate) fn disturb(&self) {
        *self.acted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_disturbed(&self) -> bool {
        let acted_at = *self.acted_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = acted_at.is_some_and(|at| at.elapsed() < AFTERMATH);
        let is_incomplete = |member: &Member| member.status().state != State::Running;
        is_recent || self.members.iter().any(is_incomplete)
    }
}

/// The api first, which accepts orders; lens after the services, which send it telemetry.
fn stop_order(part: Part) -> (u8, Part) {
    let order = match part {
        Part::Api => 0,
        Part::Worker(_) => 1,
        Part::Gateway => 2,
        Part::Lens => 3,
        Part::Redis => 4,
        Part::PostgreSql => 5,
    };
    (order, part)
}
