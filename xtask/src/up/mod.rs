//! `up`: the whole product on this machine.
//!
//! One process supervises it: this one, or with `--detach` a copy of it in a new session. However that
//! process ends, everything that it started stops.

mod detach;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use testkit::{Binaries, Ports, Profile};

use crate::local::{ExistingServers, LocalStack};
use crate::signals::Signals;
use crate::state::{Lock, State, local_folder};

/// Start PostgreSQL, Redis, lens, gateway, api and worker; Ctrl-C stops them
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Return once everything is ready; `cargo xtask down` stops it
    #[arg(long)]
    detach: bool,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
    /// Listen on free ports instead of the documented ones
    #[arg(long)]
    free_ports: bool,
    /// Run as the background process of `--detach`
    #[arg(long, hide = true)]
    supervisor: bool,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if self.supervisor {
            rustix::process::setsid().context("cannot start a new session")?;
            return supervise(Binaries::built(Profile::of(self.release))?, self.ports(), |_| ()).await;
        }
        if let Some(state) = State::running()? {
            print_addresses("Already up; `cargo xtask down` stops it.", &state);
            return Ok(ExitCode::SUCCESS);
        }
        let folder = local_folder();
        let created = fs::create_dir_all(folder.join("logs"));
        created.with_context(|| format!("cannot create the folder {}", folder.display()))?;
        // These errors should come before the build.
        if let Some(ports) = self.ports() {
            let free = ports.ensure_free();
            free.map_err(|error| anyhow!("{error}, or use --free-ports"))?;
        }
        ExistingServers::from_env().check().await?;
        let binaries = Binaries::build(Profile::of(self.release)).await?;
        if self.detach {
            let state = detach::start(&self.supervisor_arguments()).await?;
            print_addresses("Up. `cargo xtask down` stops it.", &state);
            return Ok(ExitCode::SUCCESS);
        }
        let ready = |state: &State| print_addresses("Up. Ctrl-C stops it.", state);
        supervise(binaries, self.ports(), ready).await
    }

    fn supervisor_arguments(&self) -> Vec<&'static str> {
        let flags = [
            (true, "--supervisor"),
            (self.release, "--release"),
            (self.free_ports, "--free-ports"),
        ];
        let set = flags.into_iter().filter(|(is_set, _)| *is_set);
        set.map(|(_, flag)| flag).collect()
    }

    /// `None`: free ports.
    fn ports(&self) -> Option<Ports> {
        (!self.free_ports).then_some(Ports::LOCAL)
    }
}

/// Starts everything, and stops it at a signal or when a part of it ends by itself.
async fn supervise(
    binaries: Binaries,
    ports: Option<Ports>,
    ready: impl FnOnce(&State),
) -> anyhow::Result<ExitCode> {
    let Some(_lock) = Lock::take()? else {
        bail!("another `cargo xtask up` is starting or stopping here: try again later");
    };
    let mut signals = Signals::new()?;
    let local = tokio::select! {
        started = LocalStack::start(ExistingServers::from_env(), binaries, ports) => started?,
        () = signals.received() => return Ok(ExitCode::FAILURE),
    };
    local.state().write()?;
    ready(local.state());
    let part_ended = tokio::select! {
        how = local.part_ended() => Some(how?),
        () = signals.received() => None,
    };
    local.stop().await?;
    State::remove()?;
    match part_ended {
        Some(how) => bail!("{how}"),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn print_addresses(headline: &str, state: &State) {
    let State {
        system,
        api,
        worker,
        gateway,
        lens,
        otlp_grpc,
        otlp_http,
        database_url,
        redis_url,
        logs,
        ..
    } = state;
    println!(
        "{headline} Open this first: everything that runs, and a guided walk.

  {system}

  console   {api}/
  api       {api}
  lens      {lens}  (OTLP: gRPC {otlp_grpc}, HTTP {otlp_http})
  gateway   {gateway}
  worker    {worker}/health/ready
  database  {}
  redis     {}
  logs      {}

  curl -X POST {api}/api/orders -H 'content-type: application/json' -d '{{\"product_name\":\"Widget\",\"amount\":\"99.99\"}}'
  cargo xtask order --amount 1500 --payment credit_card --watch
",
        without_password(database_url),
        without_password(redis_url),
        logs.display()
    );
}

/// The URL without its password, for printing.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "(set)".to_owned();
    };
    // A `?password=` is possible as well.
    let rest = rest.split('?').next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!(
            "{scheme}://{}:***@{host}",
            user.split(':').next().unwrap_or_default()
        ),
        _ => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            (
                "postgres://postgres@127.0.0.1:5432/throughline",
                "postgres://postgres@127.0.0.1:5432/throughline",
            ),
            (
                "postgres://me:se@cret@db/orders?password=secret",
                "postgres://me:***@db/orders",
            ),
            ("redis://:secret@cache:6379", "redis://:***@cache:6379"),
            ("host=db password=secret", "(set)"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
