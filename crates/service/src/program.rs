//! One of the binaries: its arguments, its exit code, and telemetry around what it does.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use settings::{Env, SettingError};

use crate::Termination;

/// How long the last telemetry may take to leave, unless SHUTDOWN_TIMEOUT is shorter.
const FLUSH: Duration = Duration::from_secs(5);

/// One of the binaries. It takes at most one argument: `--help`, `--version`, or one of its commands.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// `service.name` too.
    pub name: &'static str,
    /// `service.version` too.
    pub version: &'static str,
    /// What it can do besides serving.
    pub commands: &'static [&'static str],
}

impl Program {
    /// Calls `work` with the command, if one was given. An error is one line, and exit code 1.
    pub fn run(&self, work: impl FnOnce(Option<&str>, &Env) -> anyhow::Result<()>) -> ExitCode {
        // The first provider stays; nothing installs another.
        let _ = rustls::crypto::ring::default_provider().install_default();
        match self.obey(work) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error:#}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn obey(&self, work: impl FnOnce(Option<&str>, &Env) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut arguments = std::env::args().skip(1);
        let command = arguments.next();
        if arguments.next().is_some() {
            bail!("{}", self.usage());
        }
        match command.as_deref() {
            Some("--help") => println!("{}", self.usage()),
            Some("--version") => println!("{} {}", self.name, self.version),
            Some(other) if !self.commands.contains(&other) => bail!("{}", self.usage()),
            command => work(command, &Env::process())?,
        }
        Ok(())
    }

    /// Does `work` with telemetry set up from the environment, and exports what is left of it afterwards. Call it inside a tokio
    /// runtime.
    pub async fn serve<W>(&self, work: impl FnOnce(Termination) -> W) -> anyhow::Result<()>
    where
        W: Future<Output = anyhow::Result<()>>,
    {
        let flush = flush(&Env::process())?;
        let termination = Termination::watch().context("cannot wait for signals")?;
        let service = telemetry::Service::new(self.name, self.version).namespace("throughline");
        let telemetry = telemetry::init(&service)?;
        let done = work(termination).await;
        telemetry.shutdown(flush).await;
        done
    }

    fn usage(&self) -> String {
        let options = [self.commands, &["--help", "--version"]].concat();
        format!("usage: {} [{}]", self.name, options.join(" | "))
    }
}

fn flush(env: &Env) -> Result<Duration, SettingError> {
    Ok(env.duration_or("SHUTDOWN_TIMEOUT", FLUSH)?.min(FLUSH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_telemetry_takes_no_longer_than_the_end_may() {
        let within = |timeout| flush(&Env::of([("SHUTDOWN_TIMEOUT", timeout)]));
        assert_eq!(within("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(within("30s"), Ok(FLUSH));
        assert_eq!(within(""), Ok(FLUSH));
        assert!(within("soon").is_err());
    }
}
